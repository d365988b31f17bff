// Package registry serves images that it makes in memory from Debian's busybox. No image comes from outside, each
// test may have its own image, and the tests see the requests of a runtime.
package registry

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Registry implements the part of the distribution API that a pull needs.
type Registry struct {
	// Host is `address:port`, the domain of references. Alias is another name for it, which stands for a second registry.
	Host, Alias string
	// PrivateHost serves the same images to clients with the credentials.
	PrivateHost string
	// Base and Nginx are layers. Nginx is nil if the machine has none.
	Base, Nginx []byte

	mutex     sync.Mutex
	manifests map[string][]byte // by repository, a slash, and tag or digest
	blobs     map[string][]byte
	packed    map[string]descriptor
	slow      map[string]Pace
}

// The credentials that PrivateHost requires.
const (
	User     = "puller"
	Password = "p:w"
)

// Pace is the speed at which a repository serves its layers.
type Pace struct {
	// The layer is sent in Chunks, one each Every. After Stall chunks (0: never) nothing more is sent.
	Chunks, Stall int
	Every         time.Duration
	// Closing Release ends the stall.
	Release chan struct{}
	// Ended, with a buffer of one, receives a value when a client has gone or has received everything.
	Ended chan struct{}
}

// Start listens on address. A built suite has the layers in images/base.tar below its directory; otherwise
// images/build.sh makes them.
func Start(suite, address string) (*Registry, error) {
	images := filepath.Join(suite, "images")
	if _, err := os.Stat(filepath.Join(images, "base.tar")); errors.Is(err, os.ErrNotExist) {
		work, err := os.MkdirTemp("", "conformance-images-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(work)
		build := exec.Command("bash", filepath.Join(images, "build.sh"), work)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("images/build.sh, which needs Debian's packages busybox, gcc and libc6-dev: %w", err)
		}
		images = work
	}
	base, err := os.ReadFile(filepath.Join(images, "base.tar"))
	if err != nil {
		return nil, err
	}
	nginx, _ := os.ReadFile(filepath.Join(images, "nginx.tar")) // may be absent

	registry := &Registry{
		Base: base, Nginx: nginx,
		manifests: map[string][]byte{}, blobs: map[string][]byte{}, packed: map[string]descriptor{},
		slow: map[string]Pace{},
	}
	if registry.Host, err = serve(address, registry); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(registry.Host)
	registry.Alias = "localhost:" + port
	registry.PrivateHost, err = serve("127.0.0.1:0", http.HandlerFunc(registry.guard))
	return registry, err
}

// serve answers requests until the process ends.
func serve(address string, handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	go func() { panic(http.Serve(listener, handler)) }()
	return listener.Addr().String(), nil
}

// Publish publishes the image under the tags and returns the references, `host/repository:tag`.
func (r *Registry) Publish(image Image, repository string, tags ...string) []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	manifest := image.build(r.blobs, r.packed)
	r.manifests[repository+"/"+digestOf(manifest)] = manifest
	var references []string
	for _, tag := range tags {
		r.manifests[repository+"/"+tag] = manifest
		references = append(references, r.Host+"/"+repository+":"+tag)
	}
	return references
}

// PublishIndex publishes an index of one platform and returns its reference by digest.
func (r *Registry) PublishIndex(image Image, repository string) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	manifest := image.build(r.blobs, r.packed)
	list := index(manifest)
	r.manifests[repository+"/"+digestOf(manifest)] = manifest
	r.manifests[repository+"/"+digestOf(list)] = list
	return r.Host + "/" + repository + "@" + digestOf(list)
}

// Slow makes a repository serve its layers at a pace.
func (r *Registry) Slow(repository string, pace Pace) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.slow[repository] = pace
}

var route = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

func (r *Registry) ServeHTTP(reply http.ResponseWriter, request *http.Request) {
	reply.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	if request.URL.Path == "/v2/" {
		return
	}
	parts := route.FindStringSubmatch(request.URL.Path)
	if parts == nil {
		http.NotFound(reply, request)
		return
	}
	repository, kind, name := parts[1], parts[2], parts[3]
	r.mutex.Lock()
	content, found := r.blobs[name]
	if kind == "manifests" {
		content, found = r.manifests[repository+"/"+name]
	}
	pace := r.slow[repository]
	r.mutex.Unlock()

	if !found {
		reply.Header().Set("Content-Type", "application/json")
		reply.WriteHeader(http.StatusNotFound)
		_, _ = reply.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
		return
	}
	reply.Header().Set("Content-Type", mediaTypeOf(kind, content))
	reply.Header().Set("Content-Length", strconv.Itoa(len(content)))
	reply.Header().Set("Docker-Content-Digest", digestOf(content))
	if request.Method == http.MethodHead {
		return
	}
	if pace.Chunks > 0 && kind == "blobs" && len(content) > 1<<20 {
		pace.serve(reply, request, content)
		return
	}
	_, _ = reply.Write(content) // fails only if the client has gone
}

func (r *Registry) guard(reply http.ResponseWriter, request *http.Request) {
	user, password, _ := request.BasicAuth()
	if user != User || password != Password {
		reply.Header().Set("WWW-Authenticate", `Basic realm="conformance"`)
		reply.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.ServeHTTP(reply, request)
}

func (pace Pace) serve(reply http.ResponseWriter, request *http.Request, content []byte) {
	defer func() {
		select {
		case pace.Ended <- struct{}{}:
		default: // the buffer holds an earlier value
		}
	}()
	size := len(content)/pace.Chunks + 1
	for sent := 0; len(content) > 0; sent++ {
		if pace.Stall > 0 && sent == pace.Stall {
			<-request.Context().Done()
			return
		}
		chunk := content[:min(size, len(content))]
		if _, err := reply.Write(chunk); err != nil {
			return
		}
		_ = http.NewResponseController(reply).Flush() // the next write fails if this does
		content = content[len(chunk):]
		select {
		case <-request.Context().Done():
			return
		case <-pace.Release:
		case <-time.After(pace.Every):
		}
	}
}

func mediaTypeOf(kind string, content []byte) string {
	switch {
	case kind == "blobs":
		return "application/octet-stream"
	case bytes.Contains(content, []byte(`"manifests":`)):
		return indexType
	}
	return manifestType
}
