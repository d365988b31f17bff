package conformance

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const mebibyte = 1 << 20

// onV2 returns whether containers use the unified hierarchy.
func onV2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// limits are a container's limits in the kernel, in the terms of cgroup v1.
type limits struct {
	memory, memoryAndSwap, quota, period, shares int64
}

func limitsOf(t *testing.T, container *node.Container) limits {
	t.Helper()
	read := func(path string) []int64 {
		var numbers []int64
		for _, word := range strings.Fields(container.Exec("cat", "/sys/fs/cgroup/"+path).Stdout) {
			number, err := strconv.ParseInt(strings.Replace(word, "max", "-1", 1), 10, 64)
			check.NoError(t, err, path)
			numbers = append(numbers, number)
		}
		check.True(t, len(numbers) > 0, "%s is empty", path)
		return numbers
	}
	if onV2() {
		cpu, memory := read("cpu.max"), read("memory.max")[0]
		return limits{memory, memory + read("memory.swap.max")[0], cpu[0], cpu[1], read("cpu.weight")[0]}
	}
	return limits{
		read("memory/memory.limit_in_bytes")[0], read("memory/memory.memsw.limit_in_bytes")[0],
		read("cpu/cpu.cfs_quota_us")[0], read("cpu/cpu.cfs_period_us")[0], read("cpu/cpu.shares")[0],
	}
}

func TestResourcesReachTheKernel(t *testing.T) {
	resources := &cri.LinuxContainerResources{
		CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512,
		MemoryLimitInBytes: 64 * mebibyte, MemorySwapLimitInBytes: 64 * mebibyte, OomScoreAdj: 500,
	}
	container := env.New(t).Pod().Start(node.Resources(resources))
	got := limitsOf(t, container)
	check.Equal(t, "memory", got.memory, 64*mebibyte)
	check.Equal(t, "quota", got.quota, 50000)
	check.Equal(t, "period", got.period, 100000)
	if !onV2() {
		check.Equal(t, "shares", got.shares, 512)
	}
	check.Equal(t, "oom_score_adj", container.Exec("cat", "/proc/self/oom_score_adj").Stdout, "500\n")
	told := container.Status().GetResources().GetLinux()
	check.Equal(t, "memory of the status", told.GetMemoryLimitInBytes(), 64*mebibyte)
	check.Equal(t, "quota of the status", told.GetCpuQuota(), 50000)
	check.Equal(t, "shares of the status", told.GetCpuShares(), 512)
}

func TestSwapLimit(t *testing.T) {
	container := env.New(t).Pod().Start(node.Resources(&cri.LinuxContainerResources{
		MemoryLimitInBytes: 64 * mebibyte, MemorySwapLimitInBytes: 96 * mebibyte,
	}))
	got := limitsOf(t, container)
	check.Equal(t, "memory", got.memory, 64*mebibyte)
	check.Equal(t, "memory and swap", got.memoryAndSwap, 96*mebibyte)
	check.Equal(t, "limit of the status", container.Status().GetResources().GetLinux().GetMemorySwapLimitInBytes(), 96*mebibyte)
}

// After an in-place resize the container keeps running with other limits.
func TestContainerIsResized(t *testing.T) {
	n := env.New(t)
	container := n.Pod().Start(node.Resources(&cri.LinuxContainerResources{
		CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512,
		MemoryLimitInBytes: 64 * mebibyte, MemorySwapLimitInBytes: 64 * mebibyte,
	}))
	before := container.Status().StartedAt
	for _, size := range []int64{128, 48} { // up and down
		err := n.Runtime.UpdateContainerResources(n.Context(), container.ID, &cri.ContainerResources{
			Linux: &cri.LinuxContainerResources{
				CpuPeriod: 100000, CpuQuota: size * 1000, CpuShares: size * 8,
				MemoryLimitInBytes: size * mebibyte, MemorySwapLimitInBytes: size * mebibyte,
			},
		})
		check.NoError(t, err, "UpdateContainerResources")
		got := limitsOf(t, container)
		check.Equal(t, "memory", got.memory, size*mebibyte)
		check.Equal(t, "quota", got.quota, size*1000)
		told := container.Status().GetResources().GetLinux()
		check.Equal(t, "memory of the status", told.GetMemoryLimitInBytes(), size*mebibyte)
		check.Equal(t, "quota of the status", told.GetCpuQuota(), size*1000)
		check.Equal(t, "shares of the status", told.GetCpuShares(), size*8)
	}
	after := container.Status()
	check.Equal(t, "state", after.State, running)
	check.Equal(t, "start", after.StartedAt, before)
}

func TestResizeOfTheUnknownIsNotFound(t *testing.T) {
	n := env.New(t)
	err := n.Runtime.UpdateContainerResources(n.Context(), unknown, &cri.ContainerResources{
		Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: 64 * mebibyte},
	})
	check.Equal(t, "code", status.Code(err), codes.NotFound)
}
