// Package node uses the runtime under test as kubelet does: through its clients, with its conventions for names,
// labels and log directories. The objects of a spec are removed when it ends.
package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/registry"
	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	client "k8s.io/cri-client/pkg"
)

// Environment is shared by all specs of a run.
type Environment struct {
	Runtime  internalapi.RuntimeService
	Images   internalapi.ImageManagerService
	Registry *registry.Registry
	// Base is an image with busybox, at Registry.
	Base string
	// Handler is the runtime handler that pods request.
	Handler string
	// CgroupParent is a cgroup in the notation that the node's cgroup driver expects from a kubelet.
	CgroupParent string
	run          string
	// making is held for reading while a pod is made, and for writing when no more pods may be made.
	making sync.RWMutex
}

// Connect connects to the runtime at endpoint, makes the calls with which a kubelet starts, and pulls the base image.
func Connect(ctx context.Context, endpoint, handler string, images *registry.Registry) (*Environment, error) {
	const timeout = 2 * time.Minute // kubelet's --runtime-request-timeout
	runtime, err := client.NewRemoteRuntimeService(ctx, endpoint, timeout, nil, false)
	if err != nil {
		return nil, err
	}
	imageService, err := client.NewRemoteImageService(ctx, endpoint, timeout, nil, false)
	if err != nil {
		return nil, err
	}
	if _, err := imageService.ImageFsInfo(ctx); err != nil {
		return nil, err
	}
	env := &Environment{
		Runtime: runtime, Images: imageService, Registry: images, Handler: handler,
		run: fmt.Sprintf("%x", time.Now().UnixNano()),
	}
	config, err := runtime.RuntimeConfig(ctx)
	if err == nil && config.GetLinux().GetCgroupDriver() == cri.CgroupDriver_SYSTEMD {
		env.CgroupParent = "/test.slice"
	}
	env.Base = images.Publish(env.Image("base"), "base", "1")[0]
	// Some runtimes are configured to pull their sandbox image from this registry.
	images.Publish(registry.Image{Layers: [][]byte{images.Base}, Marker: "pause", Entrypoint: []string{"pause"}}, "pause", "1")
	// The base image is pulled once, before all specs need it at the same time.
	if _, err := imageService.PullImage(ctx, &cri.ImageSpec{Image: env.Base}, nil, nil); err != nil {
		return nil, fmt.Errorf("PullImage %s: %w", env.Base, err)
	}
	return env, nil
}

// Image returns an image with busybox and content that depends on the marker.
func (e *Environment) Image(marker string) registry.Image {
	return registry.Image{
		Layers: [][]byte{e.Registry.Base}, Marker: marker + " " + e.run, Cmd: []string{"sleep", "3600"},
	}
}

// Node gives one spec access to the runtime.
type Node struct {
	*Environment
	T testing.TB
	// Logs is the directory of pod logs, which is /var/log/pods on a real node.
	Logs string
}

var counter atomic.Int64

// Name returns a name that is unique on the node.
func (n *Node) Name(prefix string) string {
	return fmt.Sprintf("%s-%s-%d", prefix, n.run, counter.Add(1))
}

// New lets the spec run in parallel with others.
func (e *Environment) New(t *testing.T) *Node {
	t.Helper()
	t.Parallel()
	return e.Alone(t)
}

// Alone lets no other spec run at the same time. It is for specs that change something which others would notice.
func (e *Environment) Alone(t testing.TB) *Node {
	t.Helper()
	return &Node{Environment: e, T: t, Logs: t.TempDir()}
}

// Context returns a context that lasts as long as the spec.
func (n *Node) Context() context.Context { return n.T.Context() }

// PodConfig returns kubelet's configuration for a pod on the pod network.
func (n *Node) PodConfig(changes ...func(*cri.PodSandboxConfig)) *cri.PodSandboxConfig {
	name := n.Name("pod")
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "conformance", Uid: "uid-" + name, Attempt: 2},
		Labels: map[string]string{
			"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "conformance", "io.kubernetes.pod.uid": "uid-" + name,
		},
		LogDirectory: filepath.Join(n.Logs, name),
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: n.CgroupParent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER},
			},
		},
	}
	for _, change := range changes {
		change(config)
	}
	return config
}

// Pod runs a pod.
func (n *Node) Pod(changes ...func(*cri.PodSandboxConfig)) *Pod {
	n.T.Helper()
	pod, err := n.TryPod(changes...)
	check.NoError(n.T, err, "RunPodSandbox")
	return pod
}

// TryPod runs a pod that may be refused.
func (n *Node) TryPod(changes ...func(*cri.PodSandboxConfig)) (*Pod, error) {
	n.T.Helper()
	config := n.PodConfig(changes...)
	check.NoError(n.T, os.MkdirAll(config.LogDirectory, 0o755), "log directory") // kubelet makes it
	n.making.RLock()
	id, err := n.Runtime.RunPodSandbox(n.Context(), config, n.Handler)
	n.making.RUnlock()
	if err != nil {
		return nil, err
	}
	pod := &Pod{Node: n, ID: id, Config: config}
	n.T.Cleanup(func() {
		// The spec's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), check.Patience)
		defer cancel()
		if err := n.Runtime.StopPodSandbox(ctx, id); err != nil {
			n.T.Errorf("StopPodSandbox at the end: %v", err)
		}
		if err := n.Runtime.RemovePodSandbox(ctx, id); err != nil {
			n.T.Errorf("RemovePodSandbox at the end: %v", err)
		}
	})
	return pod, nil
}

// Have pulls a missing image, as a kubelet does with IfNotPresent, and returns its id in the runtime.
func (n *Node) Have(reference string) string {
	n.T.Helper()
	if image := n.Image(reference); image != nil {
		return image.Id
	}
	return n.Pull(reference)
}

// Pull pulls an image and returns its name in the runtime.
func (n *Node) Pull(reference string) string {
	n.T.Helper()
	id, err := n.Images.PullImage(n.Context(), &cri.ImageSpec{Image: reference}, nil, nil)
	check.NoError(n.T, err, "PullImage "+reference)
	return id
}

// Image returns the runtime's image, or nil.
func (n *Node) Image(reference string) *cri.Image {
	n.T.Helper()
	status, err := n.Images.ImageStatus(n.Context(), &cri.ImageSpec{Image: reference}, false)
	check.NoError(n.T, err, "ImageStatus "+reference)
	return status.GetImage()
}

// RemoveImage removes an image by any of its names.
func (n *Node) RemoveImage(reference string) {
	n.T.Helper()
	err := n.Images.RemoveImage(n.Context(), &cri.ImageSpec{Image: reference})
	check.NoError(n.T, err, "RemoveImage "+reference)
}

// Publish puts an image of the spec into the registry and removes it from the node at the end. Without tags, the
// tag is `1`.
func (n *Node) Publish(change func(*registry.Image), tags ...string) []string {
	n.T.Helper()
	name := n.Name("image")
	image := n.Environment.Image(name)
	if change != nil {
		change(&image)
	}
	if len(tags) == 0 {
		tags = []string{"1"}
	}
	references := n.Registry.Publish(image, name, tags...)
	n.RemoveAtEnd(references...)
	return references
}

// RemoveAtEnd removes these images from the node when the spec ends.
func (n *Node) RemoveAtEnd(references ...string) {
	n.T.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), check.Patience)
		defer cancel()
		for _, reference := range references {
			if err := n.Images.RemoveImage(ctx, &cri.ImageSpec{Image: reference}); err != nil {
				n.T.Errorf("RemoveImage at the end: %v", err)
			}
		}
	})
}

// Features returns the features that the runtime reports.
func (n *Node) Features() (*cri.RuntimeFeatures, *cri.RuntimeHandlerFeatures) {
	n.T.Helper()
	status, err := n.Runtime.Status(n.Context(), false)
	check.NoError(n.T, err, "Status")
	for _, handler := range status.RuntimeHandlers {
		if handler.Name == n.Handler {
			return status.Features, handler.Features
		}
	}
	return status.Features, nil
}

// Repository returns a reference without its tag or digest.
func Repository(reference string) string {
	repository, _, digest := strings.Cut(reference, "@")
	if digest {
		return repository
	}
	return reference[:strings.LastIndex(reference, ":")]
}
