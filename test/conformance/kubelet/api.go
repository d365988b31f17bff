package kubelet

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// patience is how long a test waits for an expected event, on a machine that may be ten times as slow as this one. A
// successful wait takes less than a fifth of it.
const patience = 5 * time.Minute

// client keeps no connections, because the other side may be gone. The kubelet's certificate is self-signed.
var client = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext:       (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
}}

func get(address string) (string, error) { return ask(http.MethodGet, address) }

func ask(method, address string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return "", err
	}
	reply, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return "", err
	}
	if reply.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s: %s", method, address, reply.Status, text)
	}
	return string(text), nil
}

// watch lists the kubelet's pods on behalf of all tests, so that many waiting tests cost no more than one.
type watch struct {
	mutex   sync.Mutex
	pods    map[string]*corev1.Pod
	trouble error
	next    chan struct{}
}

func newWatch() *watch {
	w := &watch{next: make(chan struct{})}
	go func() {
		for ; ; time.Sleep(500 * time.Millisecond) {
			pods, err := podsOf(readOnly + "/pods")
			w.mutex.Lock()
			if err == nil {
				w.pods = pods
			}
			w.trouble = err
			close(w.next)
			w.next = make(chan struct{})
			w.mutex.Unlock()
		}
	}()
	return w
}

func podsOf(address string) (map[string]*corev1.Pod, error) {
	text, err := get(address)
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, err
	}
	pods := map[string]*corev1.Pod{}
	for index := range list.Items {
		pods[list.Items[index].Name] = &list.Items[index]
	}
	return pods, nil
}

// look returns the last known pod, or nil if the kubelet has none, and a channel that closes at the next look. While
// no kubelet answers, nothing is known.
func (w *watch) look(name string) (pod *corev1.Pod, known bool, next <-chan struct{}) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.pods[name], w.pods != nil && w.trouble == nil, w.next
}

// eventually waits until the claim holds. A claim that does not hold yet says why.
func eventually(t testing.TB, what string, claim func() (holds bool, seen string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		holds, seen := claim()
		if holds {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s, but %s", what, patience, seen)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// address returns the kubelet's URL for a container, or for the pod if container is empty.
func (p *pod) address(what, container string, query url.Values) string {
	path := []string{full, what, namespace, p.name}
	if container != "" {
		path = append(path, container)
	}
	return strings.Join(path, "/") + "?" + query.Encode()
}

// run runs a command in a container, split at spaces, as a probe does.
func (p *pod) run(container, command string) string {
	p.t.Helper()
	text, err := ask(http.MethodPost, p.address("run", container, url.Values{"cmd": {command}}))
	if err != nil {
		p.t.Fatalf("running %q in %s: %v", command, container, err)
	}
	return text
}

// log returns the output of `kubectl logs` with its options.
func (p *pod) log(container, options string) (string, error) {
	query, err := url.ParseQuery(options)
	if err != nil {
		return "", err
	}
	return get(p.address("containerLogs", container, query))
}

// metrics returns the sum of a kubelet metric over its labels.
func metrics(t testing.TB, name string) float64 {
	t.Helper()
	text, err := get(readOnly + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name); found && (rest[0] == ' ' || rest[0] == '{') {
			var value float64
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &value); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sum += value
		}
	}
	return sum
}
