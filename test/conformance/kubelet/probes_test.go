package kubelet

import (
	"fmt"
	"testing"

	"dockbridge.test/conformance/internal/check"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// probe probes every second, and fails only on a negative answer, not on a slow one.
func probe(handler corev1.ProbeHandler) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: handler, PeriodSeconds: 1, TimeoutSeconds: 60, FailureThreshold: 1}
}

// handlers probe healthd (healthd/main.go), which serves on this port and the next ones.
func handlers(kind string, port int32) (ready, live corev1.ProbeHandler) {
	switch kind {
	case "Exec":
		ready.Exec = &corev1.ExecAction{Command: []string{"test", "-e", "/tmp/ready"}}
		live.Exec = &corev1.ExecAction{Command: []string{"test", "!", "-e", "/tmp/ill"}}
	case "HTTP":
		ready.HTTPGet = &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(port)}
		live.HTTPGet = &corev1.HTTPGetAction{Path: "/live", Port: intstr.FromString("named")}
	case "GRPC":
		ready.GRPC = &corev1.GRPCAction{Port: port + 1, Service: ptr.To("ready")}
		live.GRPC = &corev1.GRPCAction{Port: port + 1, Service: ptr.To("live")}
	case "TCP":
		ready.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(port + 2)}
		live.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(port + 3)}
	}
	return ready, live
}

func probes(t *testing.T) {
	kinds := []string{"Exec", "HTTP", "TCP", "GRPC"}
	names := map[string]string{}
	var containers []corev1.Container
	for index, kind := range kinds {
		port := int32(8000 + 10*index)
		names[kind] = fmt.Sprintf("probed-%d", port)
		ready, live := handlers(kind, port)
		containers = append(containers, walk.container(names[kind], fmt.Sprintf("exec healthd %d", port), func(c *corev1.Container) {
			c.Ports = []corev1.ContainerPort{{Name: "named", ContainerPort: port}}
			c.ReadinessProbe, c.LivenessProbe, c.StartupProbe = probe(ready), probe(live), probe(live)
			// healthd has unlimited time to begin to serve.
			c.StartupProbe.FailureThreshold = 1000
		}))
		if kind != "HTTP" {
			containers[index].Ports = nil // a port name must be unique in the pod
		}
	}
	p := walk.create(t, "probes", corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To(int64(60)), Containers: containers,
	})
	for _, kind := range kinds {
		name := names[kind]
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := p.of(t)
			status := p.awaitContainer(name, "has started", func(status corev1.ContainerStatus) bool {
				return ptr.Deref(status.Started, false)
			})
			check.True(t, !status.Ready, "it is ready too early")
			p.run(name, "touch /tmp/ready")
			p.awaitContainer(name, "is ready", func(status corev1.ContainerStatus) bool { return status.Ready })
			p.run(name, "rm /tmp/ready")
			status = p.awaitContainer(name, "is not ready any more", func(status corev1.ContainerStatus) bool { return !status.Ready })
			check.Equal(t, "the number of restarts", status.RestartCount, 0)

			p.run(name, "touch /tmp/ill")
			status = p.awaitContainer(name, "is restarted", func(status corev1.ContainerStatus) bool {
				return status.RestartCount == 1 && ptr.Deref(status.Started, false)
			})
			ended := status.LastTerminationState.Terminated
			check.True(t, ended != nil && ended.ExitCode == 0, "the end of the ill container is %v", ended)
		})
	}
}
