package kubelet

import (
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func outOfMemory(t *testing.T) {
	greedy := walk.container("greedy", "echo eats; exec tail /dev/zero")
	greedy.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("48Mi")}
	p := walk.create(t, "out-of-memory", corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{greedy},
	})
	status := p.awaitContainer("greedy", "has ended", ended)
	check.Equal(t, "the reason", status.State.Terminated.Reason, "OOMKilled")
	check.Equal(t, "the exit code", status.State.Terminated.ExitCode, 137)
}

func crashLoop(t *testing.T) {
	p := walk.create(t, "crash-loop", corev1.PodSpec{
		Containers: []corev1.Container{walk.container("crashing", "echo here I crash; exit 3")},
	})
	status := p.awaitContainer("crashing", "is in a crash loop", func(status corev1.ContainerStatus) bool {
		return status.RestartCount >= 2 && status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff"
	})
	last := status.LastTerminationState.Terminated
	check.True(t, last != nil, "there is no last state")
	check.Equal(t, "the reason", last.Reason, "Error")
	check.Equal(t, "the exit code", last.ExitCode, 3)
	text, err := p.log("crashing", "previous=true")
	check.NoError(t, err, "the previous log")
	check.Equal(t, "the previous log", text, "here I crash\n")
}

func missingImage(t *testing.T) {
	missing := walk.container("missing", sleeps)
	missing.Image = walk.Registry.Host + "/nowhere:1"
	never := walk.container("never", sleeps)
	never.Image, never.ImagePullPolicy = missing.Image, corev1.PullNever
	p := walk.create(t, "missing-image", corev1.PodSpec{Containers: []corev1.Container{missing, never}})
	for name, reason := range map[string]string{"missing": "ImagePullBackOff", "never": "ErrImageNeverPull"} {
		status := p.awaitContainer(name, "waits with "+reason, func(status corev1.ContainerStatus) bool {
			return status.State.Waiting != nil && status.State.Waiting.Reason == reason
		})
		check.Contains(t, "the message", status.State.Waiting.Message, missing.Image)
		check.Equal(t, "the number of restarts", status.RestartCount, 0)
	}
}

func missingCommand(t *testing.T) {
	missing := walk.container("missing", "")
	missing.Command = []string{"/no/such/command"}
	p := walk.create(t, "missing-command", corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{missing},
	})
	status := p.awaitContainer("missing", "has ended", ended)
	check.Equal(t, "the reason", status.State.Terminated.Reason, "StartError")
	check.Equal(t, "the exit code", status.State.Terminated.ExitCode, 128)
	check.True(t, strings.Contains(status.State.Terminated.Message, "/no/such/command"), "the message is %q", status.State.Terminated.Message)
}

func ended(status corev1.ContainerStatus) bool { return status.State.Terminated != nil }
