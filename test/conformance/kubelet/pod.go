package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const namespace = "default"

// world is shared by the tests.
type world struct {
	*node.Environment
	// work is the node's directory.
	work string
	// image contains busybox and healthd.
	image string
	watch *watch
}

// pod is a static pod that exists until the test ends.
type pod struct {
	*world
	t testing.TB
	// name is the pod's name in the kubelet, made of the manifest's name and the node's name.
	name     string
	manifest string
	// shared is a directory of the machine that the pod's containers have as /shared.
	shared string
}

// container returns a container that runs a shell script.
func (w *world) container(name, script string, changes ...func(*corev1.Container)) corev1.Container {
	c := corev1.Container{
		Name: name, Image: w.image, Command: []string{"sh", "-c", script}, ImagePullPolicy: corev1.PullIfNotPresent,
		VolumeMounts: []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}},
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// sleeps is a script that ends at once on SIGTERM.
const sleeps = `trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done`

// create writes a manifest for the kubelet. The pod is removed at the end of the test.
func (w *world) create(t testing.TB, name string, spec corev1.PodSpec) *pod {
	t.Helper()
	p := &pod{
		world: w, t: t, name: name + "-" + nodeName, shared: t.TempDir(),
		manifest: filepath.Join(w.work, "manifests", name+".json"),
	}
	if spec.TerminationGracePeriodSeconds == nil {
		seconds := int64(2)
		spec.TerminationGracePeriodSeconds = &seconds
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{
		Name: "shared", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: p.shared}},
	})
	text, err := json.Marshal(corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"walk": name}},
		Spec:       spec,
	})
	check.NoError(t, err, "manifest")
	// The kubelet must not see half of the file.
	half := filepath.Join(w.work, name+".json")
	check.NoError(t, os.WriteFile(half, text, 0o644), "manifest")
	check.NoError(t, os.Rename(half, p.manifest), "manifest")
	t.Cleanup(func() {
		p.delete()
		p.ended()
	})
	return p
}

// of returns the pod for a subtest.
func (p *pod) of(t testing.TB) *pod {
	mine := *p
	mine.t = t
	return &mine
}

// delete removes the manifest.
func (p *pod) delete() {
	p.t.Helper()
	if err := os.Remove(p.manifest); err != nil && !os.IsNotExist(err) {
		p.t.Errorf("manifest: %v", err)
	}
}

// ended waits until no part of the pod runs any more.
func (p *pod) ended() {
	p.t.Helper()
	eventually(p.t, p.name+" ends", func() (bool, string) {
		seen, known, _ := p.watch.look(p.name)
		if !known {
			return false, "the kubelet does not answer"
		}
		if seen != nil {
			return false, "the kubelet still has it: " + status(seen)
		}
		sandboxes, containers, err := p.inRuntime()
		if err != nil {
			return false, err.Error()
		}
		for _, sandbox := range sandboxes {
			if sandbox.State == cri.PodSandboxState_SANDBOX_READY {
				return false, "a sandbox is ready: " + sandbox.String()
			}
		}
		for _, container := range containers {
			if container.State == cri.ContainerState_CONTAINER_RUNNING {
				return false, "a container runs: " + container.String()
			}
		}
		return true, ""
	})
}

// inRuntime returns the pod's sandboxes and containers in the runtime.
func (p *pod) inRuntime() ([]*cri.PodSandbox, []*cri.Container, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	labels := map[string]string{"io.kubernetes.pod.name": p.name}
	sandboxes, err := p.Runtime.ListPodSandbox(ctx, &cri.PodSandboxFilter{LabelSelector: labels})
	if err != nil {
		return nil, nil, err
	}
	containers, err := p.Runtime.ListContainers(ctx, &cri.ContainerFilter{LabelSelector: labels})
	return sandboxes, containers, err
}

// await waits until the kubelet's pod fulfils the condition, and returns the pod.
func (p *pod) await(what string, claim func(*corev1.Pod) bool) *corev1.Pod {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		seen, known, next := p.watch.look(p.name)
		if known && seen != nil && claim(seen) {
			return seen
		}
		select {
		case <-next:
		case <-deadline:
			if !known {
				p.t.Fatalf("%s: %s: not within %s, and the kubelet does not answer", p.name, what, patience)
			}
			p.t.Fatalf("%s: %s: not within %s, but %s", p.name, what, patience, status(seen))
		}
	}
}

// ready waits until all containers are ready.
func (p *pod) ready() *corev1.Pod {
	p.t.Helper()
	return p.await("it is ready", func(seen *corev1.Pod) bool {
		for _, condition := range seen.Status.Conditions {
			if condition.Type == corev1.PodReady {
				return condition.Status == corev1.ConditionTrue
			}
		}
		return false
	})
}

// awaitContainer does the same as await for one container.
func (p *pod) awaitContainer(name, what string, claim func(corev1.ContainerStatus) bool) corev1.ContainerStatus {
	p.t.Helper()
	return statusOf(p.await(name+" "+what, func(seen *corev1.Pod) bool { return claim(statusOf(seen, name)) }), name)
}

// statusOf is empty until the kubelet has a status.
func statusOf(seen *corev1.Pod, name string) corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{seen.Status.ContainerStatuses, seen.Status.InitContainerStatuses} {
		for _, status := range list {
			if status.Name == name {
				return status
			}
		}
	}
	return corev1.ContainerStatus{}
}

func status(seen *corev1.Pod) string {
	if seen == nil {
		return "there is no such pod"
	}
	text, err := json.Marshal(seen.Status)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("it is %s", text)
}

// holds returns the contents of a file in the shared directory, or nothing if there is none.
func (p *pod) holds(name string) string {
	text, err := os.ReadFile(filepath.Join(p.shared, name))
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return string(text)
}

// tell creates a file in the shared directory for which a container waits.
func (p *pod) tell(name string) {
	p.t.Helper()
	check.NoError(p.t, os.WriteFile(filepath.Join(p.shared, name), nil, 0o644), "telling "+name)
}

// logDirectory returns the directory of one container's logs.
func (p *pod) logDirectory(seen *corev1.Pod, container string) string {
	return filepath.Join(logsDir, strings.Join([]string{namespace, p.name, string(seen.UID)}, "_"), container)
}
