// Package old calls a runtime as the kubelets of Kubernetes 1.24 to 1.26 did: with their gRPC, which sends the raw path
// of the socket as HTTP/2 :authority, and with both versions of CRI that they supported.
package old

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-api/pkg/apis/runtime/v1alpha2"
)

// runtime is a connection that uses one version. The messages of both are the same on the wire, and those kubelets
// converted one into the other.
type runtime struct {
	t          *testing.T
	connection *grpc.ClientConn
	version    string
}

func connect(t *testing.T, version string) *runtime {
	t.Helper()
	path := strings.TrimPrefix(os.Getenv("CONFORMANCE_ENDPOINT"), "unix://")
	if path == "" {
		t.Fatal("set CONFORMANCE_ENDPOINT=unix:///… (or use: make conformance)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// The address has no scheme, as in kubelet, so that the path becomes the authority.
	connection, err := grpc.DialContext(ctx, path, grpc.WithBlock(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address)
		}))
	if err != nil {
		t.Fatalf("dial %s: %v", path, err)
	}
	t.Cleanup(func() { _ = connection.Close() }) // an error would change no result
	return &runtime{t, connection, version}
}

func (r *runtime) try(method string, request, reply any) error {
	service := "RuntimeService"
	if strings.Contains(method, "Image") {
		service = "ImageService"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return r.connection.Invoke(ctx, "/runtime."+r.version+"."+service+"/"+method, request, reply)
}

func (r *runtime) call(method string, request, reply any) {
	r.t.Helper()
	if err := r.try(method, request, reply); err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
}

func TestVersionByTheGeneratedClient(t *testing.T) {
	r := connect(t, "v1alpha2")
	reply, err := v1alpha2.NewRuntimeServiceClient(r.connection).Version(context.Background(), &v1alpha2.VersionRequest{})
	if err != nil || reply.RuntimeApiVersion == "" {
		t.Fatalf("Version: %v, %v", reply, err)
	}
}

func TestLifeCycle(t *testing.T) {
	image := os.Getenv("CONFORMANCE_IMAGE")
	for _, version := range []string{"v1", "v1alpha2"} {
		t.Run(version, func(t *testing.T) {
			r := connect(t, version)
			var state cri.StatusResponse
			r.call("Status", &cri.StatusRequest{}, &state)
			for _, condition := range state.Status.Conditions {
				if !condition.Status {
					t.Fatalf("not ready: %v", condition)
				}
			}
			var pulled cri.PullImageResponse
			r.call("PullImage", &cri.PullImageRequest{Image: &cri.ImageSpec{Image: image}}, &pulled)
			defer r.call("RemoveImage", &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: image}}, &cri.RemoveImageResponse{})
			var images cri.ListImagesResponse
			r.call("ListImages", &cri.ListImagesRequest{}, &images)
			if len(images.Images) == 0 {
				t.Fatal("no image is listed")
			}
			pod := r.runPod()
			defer r.removePod(pod)
			r.runContainer(pod, pulled.ImageRef)
		})
	}
}

type pod struct {
	id     string
	config *cri.PodSandboxConfig
}

func (r *runtime) runPod() pod {
	r.t.Helper()
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: "old-" + r.version, Namespace: "conformance", Uid: "old-" + r.version},
		Hostname: "old", LogDirectory: r.t.TempDir(),
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER},
		}},
	}
	var made cri.RunPodSandboxResponse
	r.call("RunPodSandbox", &cri.RunPodSandboxRequest{Config: config}, &made)
	var found cri.PodSandboxStatusResponse
	r.call("PodSandboxStatus", &cri.PodSandboxStatusRequest{PodSandboxId: made.PodSandboxId}, &found)
	if found.Status.State != cri.PodSandboxState_SANDBOX_READY || found.Status.Network.GetIp() == "" {
		r.t.Fatalf("the pod is not ready: %v", found.Status)
	}
	return pod{made.PodSandboxId, config}
}

func (r *runtime) removePod(pod pod) {
	r.call("StopPodSandbox", &cri.StopPodSandboxRequest{PodSandboxId: pod.id}, &cri.StopPodSandboxResponse{})
	r.call("RemovePodSandbox", &cri.RemovePodSandboxRequest{PodSandboxId: pod.id}, &cri.RemovePodSandboxResponse{})
	err := r.try("PodSandboxStatus", &cri.PodSandboxStatusRequest{PodSandboxId: pod.id}, &cri.PodSandboxStatusResponse{})
	if status.Code(err) != codes.NotFound {
		r.t.Fatalf("status of the removed pod: %v", err)
	}
}

func (r *runtime) runContainer(pod pod, image string) {
	r.t.Helper()
	var made cri.CreateContainerResponse
	r.call("CreateContainer", &cri.CreateContainerRequest{PodSandboxId: pod.id, SandboxConfig: pod.config, Config: &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main"}, Image: &cri.ImageSpec{Image: image}, LogPath: "main.log",
		Command: []string{"sh", "-c", "echo hello; exec sleep 1000"},
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER},
		}},
	}}, &made)
	id := made.ContainerId
	r.call("StartContainer", &cri.StartContainerRequest{ContainerId: id}, &cri.StartContainerResponse{})
	var output cri.ExecSyncResponse
	r.call("ExecSync", &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"hostname"}, Timeout: 60}, &output)
	if string(output.Stdout) != "old\n" {
		r.t.Fatalf("exec: %v", output)
	}
	var listed cri.ListContainersResponse
	r.call("ListContainers", &cri.ListContainersRequest{Filter: &cri.ContainerFilter{PodSandboxId: pod.id}}, &listed)
	if len(listed.Containers) != 1 || listed.Containers[0].State != cri.ContainerState_CONTAINER_RUNNING {
		r.t.Fatalf("containers: %v", listed.Containers)
	}
	r.call("StopContainer", &cri.StopContainerRequest{ContainerId: id}, &cri.StopContainerResponse{})
	var ended cri.ContainerStatusResponse
	r.call("ContainerStatus", &cri.ContainerStatusRequest{ContainerId: id}, &ended)
	if ended.Status.State != cri.ContainerState_CONTAINER_EXITED {
		r.t.Fatalf("after the stop: %v", ended.Status)
	}
	log, err := os.ReadFile(filepath.Join(pod.config.LogDirectory, "main.log"))
	if err != nil || !strings.Contains(string(log), " stdout F hello\n") {
		r.t.Fatalf("log: %q %v", log, err)
	}
	r.call("RemoveContainer", &cri.RemoveContainerRequest{ContainerId: id}, &cri.RemoveContainerResponse{})
}
