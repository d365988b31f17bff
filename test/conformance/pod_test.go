package conformance

import (
	"testing"

	"dockbridge.test/conformance/internal/check"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestPodRuns(t *testing.T) {
	pod := env.New(t).Pod()
	check.Equal(t, "state", pod.Status().State, cri.PodSandboxState_SANDBOX_READY)
	check.Equal(t, "listed state", pod.Listed().GetState(), cri.PodSandboxState_SANDBOX_READY)
}

func TestPodStops(t *testing.T) {
	pod := env.New(t).Pod()
	pod.Stop()
	check.Equal(t, "state", pod.Status().State, cri.PodSandboxState_SANDBOX_NOTREADY)
}

func TestPodIsRemoved(t *testing.T) {
	pod := env.New(t).Pod()
	pod.Stop()
	pod.Remove()
	check.True(t, pod.Listed() == nil, "the removed pod is still listed")
}

func TestPodKeepsItsAttributes(t *testing.T) {
	pod := env.New(t).Pod(func(config *cri.PodSandboxConfig) {
		config.Labels["team"] = "blue"
		config.Annotations = map[string]string{"example.com/note": "a b", "empty": ""}
	})
	status, listed := pod.Status(), pod.Listed()
	for where, metadata := range map[string]*cri.PodSandboxMetadata{"status": status.Metadata, "list": listed.Metadata} {
		want := pod.Config.Metadata
		check.Equal(t, where+": name", metadata.Name, want.Name)
		check.Equal(t, where+": namespace", metadata.Namespace, want.Namespace)
		check.Equal(t, where+": uid", metadata.Uid, want.Uid)
		check.Equal(t, where+": attempt", metadata.Attempt, want.Attempt)
	}
	check.Includes(t, "labels of the status", status.Labels, pod.Config.Labels)
	check.Includes(t, "labels of the list", listed.Labels, pod.Config.Labels)
	check.Includes(t, "annotations of the status", status.Annotations, pod.Config.Annotations)
	check.Includes(t, "annotations of the list", listed.Annotations, pod.Config.Annotations)
}

func TestPodSysctls(t *testing.T) {
	for name, value := range map[string]string{"kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "100"} {
		t.Run(name, func(t *testing.T) {
			pod := env.New(t).Pod(func(config *cri.PodSandboxConfig) {
				config.Linux.Sysctls = map[string]string{name: value}
			})
			got := pod.Start().Exec("sysctl", "-n", name)
			check.Equal(t, name+" in a container", got.Stdout, value+"\n")
		})
	}
}
