package kubelet

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"dockbridge.test/conformance/internal/check"
	corev1 "k8s.io/api/core/v1"
)

// TestGates replaces the first kubelet by one that uses the runtime's events and stats. Running pods continue.
func TestGates(t *testing.T) {
	p := lasting(t, "gates")
	before := p.ready()
	check.NoError(t, running.stop(), "stopping the kubelet")
	var err error
	running, err = start(walk.work, map[string]bool{"EventedPLEG": true, "PodAndContainerStatsFromCRI": true})
	check.NoError(t, err, "starting the kubelet")
	t.Run("PodsLiveOn", func(t *testing.T) {
		idle(t, "after-kubelet").ready()
		p.of(t).lived(before)
	})
	t.Run("Events", events)
	t.Run("Stats", func(t *testing.T) { p.of(t).isMeasured() })
}

func events(t *testing.T) {
	p := walk.create(t, "evented", corev1.PodSpec{Containers: []corev1.Container{
		walk.container("once", "until test -e /shared/end; do sleep 0.2; done; rm /shared/end; exit 5"),
	}})
	p.ready()
	p.tell("end")
	status := p.awaitContainer("once", "runs again", func(status corev1.ContainerStatus) bool {
		return status.RestartCount == 1 && status.State.Running != nil
	})
	last := status.LastTerminationState.Terminated
	check.True(t, last != nil && last.ExitCode == 5, "its end is %v", last)

	eventually(t, "the kubelet gets events", func() (bool, string) {
		count := metrics(t, "kubelet_evented_pleg_connection_latency_seconds_count")
		return count > 0, fmt.Sprintf("it has counted %g", count)
	})
	check.Equal(t, "the number of streams", metrics(t, "kubelet_evented_pleg_connection_success_count"), 1)
	check.Equal(t, "the number of failed streams", metrics(t, "kubelet_evented_pleg_connection_error_count"), 0)
}

// summary is the checked part of kubelet's /stats/summary.
type summary struct {
	Pods []struct {
		PodRef struct{ Name string }
		CPU    usage
		Memory usage
		// RxBytes is nil if the runtime reported nothing.
		Network    struct{ RxBytes *uint64 }
		Containers []struct {
			Name        string
			CPU, Memory usage
		}
	}
}

type usage struct{ UsageCoreNanoSeconds, WorkingSetBytes uint64 }

func (p *pod) isMeasured() {
	p.t.Helper()
	eventually(p.t, "the pod is in the kubelet's metrics", func() (bool, string) {
		text, err := get(readOnly + "/metrics/cadvisor")
		if err != nil {
			return false, err.Error()
		}
		for _, series := range []string{
			`container_network_receive_bytes_total\{.*pod="` + p.name + `"`, `container_cpu_usage_seconds_total\{.*container="web".*pod="` + p.name + `"`,
		} {
			if !regexp.MustCompile(series).MatchString(text) {
				return false, "there is no " + series
			}
		}
		return true, ""
	})
	eventually(p.t, "the pod is measured", func() (bool, string) {
		text, err := get(readOnly + "/stats/summary")
		if err != nil {
			return false, err.Error()
		}
		var all summary
		check.NoError(p.t, json.Unmarshal([]byte(text), &all), "the summary")
		for _, pod := range all.Pods {
			if pod.PodRef.Name != p.name {
				continue
			}
			measured := len(pod.Containers) == 2 && pod.Network.RxBytes != nil && pod.CPU.UsageCoreNanoSeconds > 0 && pod.Memory.WorkingSetBytes > 0
			for _, container := range pod.Containers {
				measured = measured && container.CPU.UsageCoreNanoSeconds > 0 && container.Memory.WorkingSetBytes > 0
			}
			return measured, fmt.Sprintf("%+v", pod)
		}
		return false, "it is not in the summary"
	})
}
