package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// busyPod runs a pod with one container, which has limits and has used CPU, memory and network.
func busyPod(t *testing.T) (*node.Pod, *node.Container) {
	t.Helper()
	pod := env.New(t).Pod(func(config *cri.PodSandboxConfig) {
		config.Labels["spec"] = config.Metadata.Name
		// Each pod gets a cgroup of its own, as from kubelet. The runtime may read the pod's usage from it.
		if config.Linux.CgroupParent == "" {
			config.Linux.CgroupParent = "/conformance/" + config.Metadata.Name
			t.Cleanup(func() { removeCgroups(config.Linux.CgroupParent) })
		}
	})
	container := pod.Start(webServer(80), node.Resources(&cri.LinuxContainerResources{
		CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512, MemoryLimitInBytes: 64 * mebibyte,
	}))
	expectWeb(t, pod.IP(), 80)
	return pod, container
}

// removeCgroups removes the cgroups that a kubelet would remove. Some hierarchies have none of them.
func removeCgroups(parent string) {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		groups, _ := filepath.Glob(hierarchy + parent)
		for _, group := range groups {
			_ = os.Remove(group)
			_ = os.Remove(filepath.Dir(group)) // succeeds after the last group in it
		}
	}
}

func expectPodStats(t *testing.T, stats *cri.PodSandboxStats, pod *node.Pod, container *node.Container) {
	t.Helper()
	check.Equal(t, "id", stats.GetAttributes().GetId(), pod.ID)
	check.Equal(t, "name", stats.Attributes.GetMetadata().GetName(), pod.Config.Metadata.Name)
	check.Includes(t, "labels", stats.Attributes.Labels, pod.Config.Labels)
	linux := stats.GetLinux()
	check.True(t, linux.GetCpu().GetUsageCoreNanoSeconds().GetValue() > 0, "no CPU: %v", linux.GetCpu())
	check.True(t, linux.GetCpu().GetTimestamp() > 0, "no time of the CPU reading")
	check.True(t, linux.GetMemory().GetWorkingSetBytes().GetValue() > 0, "no memory: %v", linux.GetMemory())
	network := linux.GetNetwork().GetDefaultInterface()
	check.Equal(t, "default interface", network.GetName(), "eth0")
	check.True(t, network.GetRxBytes().GetValue() > 0, "nothing received: %v", network)
	check.True(t, network.GetTxBytes().GetValue() > 0, "nothing sent: %v", network)
	check.True(t, linux.GetProcess().GetProcessCount().GetValue() > 0, "no processes: %v", linux.GetProcess())
	check.Equal(t, "number of containers", len(linux.GetContainers()), 1)
	check.Equal(t, "container", linux.Containers[0].GetAttributes().GetId(), container.ID)
}

func TestPodStats(t *testing.T) {
	pod, container := busyPod(t)
	stats, err := pod.Runtime.PodSandboxStats(pod.Context(), pod.ID)
	check.NoError(t, err, "PodSandboxStats")
	expectPodStats(t, stats, pod, container)
}

func TestPodStatsAreListed(t *testing.T) {
	pod, container := busyPod(t)
	for name, filter := range map[string]*cri.PodSandboxStatsFilter{
		"by id": {Id: pod.ID}, "by label": {LabelSelector: map[string]string{"spec": pod.Config.Metadata.Name}},
	} {
		all, err := pod.Runtime.ListPodSandboxStats(pod.Context(), filter)
		check.NoError(t, err, "ListPodSandboxStats "+name)
		check.Equal(t, "number of pods "+name, len(all), 1)
		expectPodStats(t, all[0], pod, container)
	}
}

// The metrics of cAdvisor, which kubelet reads from the runtime with PodAndContainerStatsFromCRI.
var metricNames = []string{
	"container_blkio_device_usage_total", "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total",
	"container_cpu_cfs_throttled_seconds_total", "container_cpu_system_seconds_total", "container_cpu_usage_seconds_total",
	"container_cpu_user_seconds_total", "container_file_descriptors", "container_fs_inodes_free",
	"container_fs_inodes_total", "container_fs_limit_bytes", "container_fs_reads_bytes_total",
	"container_fs_reads_total", "container_fs_usage_bytes", "container_fs_writes_bytes_total",
	"container_fs_writes_total", "container_last_seen", "container_memory_cache", "container_memory_failcnt",
	"container_memory_failures_total", "container_memory_kernel_usage", "container_memory_mapped_file",
	"container_memory_max_usage_bytes", "container_memory_rss", "container_memory_swap",
	"container_memory_usage_bytes", "container_memory_working_set_bytes", "container_network_receive_bytes_total",
	"container_network_receive_errors_total", "container_network_receive_packets_dropped_total",
	"container_network_receive_packets_total", "container_network_transmit_bytes_total",
	"container_network_transmit_errors_total", "container_network_transmit_packets_dropped_total",
	"container_network_transmit_packets_total", "container_oom_events_total", "container_processes",
	"container_sockets", "container_spec_cpu_period", "container_spec_cpu_shares",
	"container_spec_memory_limit_bytes", "container_spec_memory_swap_limit_bytes", "container_start_time_seconds",
	"container_threads", "container_threads_max",
}

// mayHaveNoValue has the metrics that have no value if the container has not used a block device.
var mayHaveNoValue = map[string]bool{
	"container_blkio_device_usage_total": true, "container_fs_reads_bytes_total": true, "container_fs_reads_total": true,
	"container_fs_writes_bytes_total": true, "container_fs_writes_total": true,
}

func descriptors(t *testing.T, n *node.Node) map[string]*cri.MetricDescriptor {
	t.Helper()
	list, err := n.Runtime.ListMetricDescriptors(n.Context())
	check.NoError(t, err, "ListMetricDescriptors")
	byName := map[string]*cri.MetricDescriptor{}
	for _, descriptor := range list {
		byName[descriptor.Name] = descriptor
	}
	return byName
}

func TestMetricDescriptors(t *testing.T) {
	found := descriptors(t, env.New(t))
	for _, name := range metricNames {
		check.True(t, found[name] != nil, "no %s", name)
	}
	for name, descriptor := range found {
		check.True(t, descriptor.Help != "" && len(descriptor.LabelKeys) > 0, "%s has no help or labels: %v", name, descriptor)
	}
}

func TestPodMetrics(t *testing.T) {
	pod, _ := busyPod(t)
	described := descriptors(t, pod.Node)
	var missing []string
	// The runtime may omit values that need the disk, because it does not wait long for a container that has just started.
	defer func() {
		if t.Failed() {
			t.Logf("no value of %v", missing)
		}
	}()
	check.Eventually(t, "a value of each metric", func() bool {
		found := namesOfMetrics(t, pod, described)
		missing = nil
		for _, name := range metricNames {
			if !found[name] && !mayHaveNoValue[name] {
				missing = append(missing, name)
			}
		}
		return len(missing) == 0
	})
}

// namesOfMetrics checks each value of the pod and its containers against its descriptor.
func namesOfMetrics(t *testing.T, pod *node.Pod, described map[string]*cri.MetricDescriptor) map[string]bool {
	t.Helper()
	all, err := pod.Runtime.ListPodSandboxMetrics(pod.Context())
	check.NoError(t, err, "ListPodSandboxMetrics")
	var found map[string]bool
	for _, metrics := range all {
		if metrics.PodSandboxId != pod.ID {
			continue
		}
		found = map[string]bool{}
		list := metrics.Metrics
		for _, container := range metrics.ContainerMetrics {
			list = append(list, container.Metrics...)
		}
		for _, metric := range list {
			found[metric.Name] = true
			descriptor := described[metric.Name]
			check.True(t, descriptor != nil, "%s has no descriptor", metric.Name)
			check.Equal(t, "number of labels of "+metric.Name, len(metric.LabelValues), len(descriptor.LabelKeys))
		}
	}
	check.True(t, found != nil, "no metrics of the pod")
	return found
}
