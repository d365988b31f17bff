package kubelet

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"dockbridge.test/conformance/internal/check"
	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// lasting creates a pod whose log shows whether the pod kept running.
func lasting(t *testing.T, name string) *pod {
	t.Helper()
	web := walk.container("web", "exec httpd -f -p 8000 -h /www")
	web.Ports = []corev1.ContainerPort{{ContainerPort: 8000, HostPort: 18080}}
	return walk.create(t, name, corev1.PodSpec{Containers: []corev1.Container{
		web, walk.container("ticking", `i=0; while :; do echo tick $i; i=$((i + 1)); sleep 0.2; done`),
	}})
}

// idle creates a pod, which shows that pods can be started.
func idle(t *testing.T, name string) *pod {
	t.Helper()
	return walk.create(t, name, corev1.PodSpec{Containers: []corev1.Container{walk.container("idle", sleeps)}})
}

// ids returns the runtime's ids of the containers that the kubelet reports.
func ids(seen *corev1.Pod) map[string]string {
	found := map[string]string{}
	for _, status := range seen.Status.ContainerStatuses {
		found[status.Name] = status.ContainerID
	}
	return found
}

// lived checks that the pod is the same as before, and that its log continues without a gap.
func (p *pod) lived(before *corev1.Pod) {
	p.t.Helper()
	seen := p.ready()
	check.True(p.t, maps.Equal(ids(seen), ids(before)), "the containers were %v and are %v", ids(before), ids(seen))
	check.Equal(p.t, "the address", seen.Status.PodIP, before.Status.PodIP)
	for _, status := range seen.Status.ContainerStatuses {
		check.Equal(p.t, "the restarts of "+status.Name, status.RestartCount, 0)
	}
	sandboxes, containers, err := p.inRuntime()
	check.NoError(p.t, err, "listing")
	check.Equal(p.t, "the number of sandboxes", len(sandboxes), 1)
	check.Equal(p.t, "the number of containers", len(containers), 2)
	check.Equal(p.t, "what exec says", p.run("web", "cat /www/index.html"), "ok\n")
	p.serves()

	directory := p.logDirectory(seen, "ticking")
	ticks := func() int {
		text, err := wholeLog(p.t, directory)
		check.NoError(p.t, err, "the log")
		return strings.Count(text, "tick")
	}
	first := ticks()
	eventually(p.t, "the log continues", func() (bool, string) { return ticks() > first, fmt.Sprintf("it has %d lines", first) })
}

func (p *pod) serves() {
	p.t.Helper()
	eventually(p.t, "the host port answers", func() (bool, string) {
		text, err := get("http://" + nodeAddress + ":18080/")
		return err == nil && text == "ok\n", fmt.Sprintf("%q (%v)", text, err)
	})
}

// isUnbroken waits until the log has no missing and no repeated tick. While the kubelet rotates the log, a
// reader may see either.
func (p *pod) isUnbroken(seen *corev1.Pod) {
	p.t.Helper()
	eventually(p.t, "the log is unbroken", func() (bool, string) {
		text, err := wholeLog(p.t, p.logDirectory(seen, "ticking"))
		if err != nil {
			return false, err.Error()
		}
		count := 0
		// The last line may be incomplete.
		for line := range strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]) {
			if !strings.HasSuffix(line, fmt.Sprintf(" stdout F tick %d\n", count)) {
				return false, fmt.Sprintf("there is %q instead of tick %d", line, count)
			}
			count++
		}
		return count > 0, "it is empty"
	})
}

// hasTicked waits for the first lines of the log.
func (p *pod) hasTicked() {
	p.t.Helper()
	eventually(p.t, "the log begins", func() (bool, string) {
		text, err := p.log("ticking", "")
		return strings.Contains(text, "tick 1\n"), fmt.Sprintf("it is %q (%v)", text, err)
	})
}

// cameBack checks that all containers of the pod run again, in a new sandbox.
func (p *pod) cameBack(before *corev1.Pod) {
	p.t.Helper()
	old := slices.Collect(maps.Values(ids(before)))
	p.await("all of it runs again", func(seen *corev1.Pod) bool {
		for _, status := range seen.Status.ContainerStatuses {
			if !status.Ready || slices.Contains(old, status.ContainerID) {
				return false
			}
		}
		return true
	})
	seen := p.ready()
	for _, status := range seen.Status.ContainerStatuses {
		check.True(p.t, status.RestartCount >= 1, "the kubelet reports no restart of %s", status.Name)
	}
	p.serves()
	ready, err := p.readySandboxes()
	check.NoError(p.t, err, "listing")
	check.Equal(p.t, "the number of ready sandboxes", len(ready), 1)
	text, err := p.log("ticking", "previous=true")
	check.NoError(p.t, err, "the log of the container before")
	check.Contains(p.t, "the log of the container before", text, "tick 0\n", "tick 1\n")
}

func (p *pod) readySandboxes() ([]*cri.PodSandbox, error) {
	sandboxes, _, err := p.inRuntime()
	return slices.DeleteFunc(sandboxes, func(sandbox *cri.PodSandbox) bool {
		return sandbox.State != cri.PodSandboxState_SANDBOX_READY
	}), err
}

// noAddressIsLeaked waits until the network plugin has exactly the addresses of the existing pods.
func noAddressIsLeaked(t *testing.T) {
	t.Helper()
	eventually(t, "no address is leaked", func() (bool, string) {
		sandboxes, err := walk.Runtime.ListPodSandbox(t.Context(), &cri.PodSandboxFilter{
			State: &cri.PodSandboxStateValue{State: cri.PodSandboxState_SANDBOX_READY},
		})
		if err != nil {
			return false, err.Error()
		}
		var used []string
		for _, sandbox := range sandboxes {
			reply, err := walk.Runtime.PodSandboxStatus(t.Context(), sandbox.Id, false)
			if err != nil {
				return false, err.Error()
			}
			used = append(used, reply.Status.Network.Ip)
			for _, more := range reply.Status.Network.AdditionalIps {
				used = append(used, more.Ip)
			}
		}
		entries, err := os.ReadDir(filepath.Join(walk.work, "leases", "conformance"))
		if err != nil {
			return false, err.Error()
		}
		var leased []string
		for _, entry := range entries {
			if _, err := netip.ParseAddr(entry.Name()); err == nil {
				leased = append(leased, entry.Name())
			}
		}
		slices.Sort(used)
		slices.Sort(leased)
		return slices.Equal(used, leased), fmt.Sprintf("pods have %q, and %q are leased", used, leased)
	})
}

// killDockbridge kills dockbridge, and returns when the next one answers.
func killDockbridge(t *testing.T) {
	t.Helper()
	pid := pidIn(t, os.Getenv("NODE_DAEMON"))
	check.NoError(t, syscall.Kill(pid, syscall.SIGKILL), "killing dockbridge")
	eventually(t, "dockbridge answers again", func() (bool, string) {
		if pidIn(t, os.Getenv("NODE_DAEMON")) == pid {
			return false, "it is not started"
		}
		_, err := walk.Runtime.Version(t.Context(), "0.1.0")
		return err == nil, fmt.Sprint(err)
	})
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	check.NoError(t, err, "pid")
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	check.NoError(t, err, "pid")
	return pid
}

func TestDockbridgeKilled(t *testing.T) {
	p := lasting(t, "unharmed")
	before := p.ready()
	t.Run("AtRest", func(t *testing.T) {
		killDockbridge(t)
		// Once this pod is ready, the kubelet has synced all pods through the new process.
		idle(t, "after").ready()
		p.of(t).lived(before)
	})
	t.Run("WhileAPodStarts", func(t *testing.T) {
		other := idle(t, "meanwhile")
		eventually(t, "its sandbox is there", func() (bool, string) {
			sandboxes, _, err := other.inRuntime()
			return len(sandboxes) > 0, fmt.Sprint(err)
		})
		killDockbridge(t)
		other.ready()
		ready, err := other.readySandboxes()
		check.NoError(t, err, "listing")
		check.Equal(t, "the number of ready sandboxes", len(ready), 1)
		p.of(t).lived(before)
		noAddressIsLeaked(t)
	})
	t.Run("NoLineIsLost", func(t *testing.T) { p.of(t).isUnbroken(before) })
}

func TestEngineRestarted(t *testing.T) {
	p := lasting(t, "restarted")
	before := p.ready()
	p.hasTicked()
	engine(t, "relaunch")
	p.cameBack(before)
	noAddressIsLeaked(t)
}

func TestEngineKilled(t *testing.T) {
	p := lasting(t, "engine-killed")
	before := p.ready()
	p.hasTicked()
	killEngine(t)
	eventually(t, "dockbridge reports the loss of the Engine", func() (bool, string) {
		reply, err := walk.Runtime.Status(t.Context(), false)
		if err != nil {
			return false, err.Error()
		}
		ready := slices.ContainsFunc(reply.Status.Conditions, func(condition *cri.RuntimeCondition) bool {
			return condition.Type == "RuntimeReady" && condition.Status
		})
		return !ready, "the runtime is ready"
	})
	engine(t, "relaunch")
	p.cameBack(before)
	noAddressIsLeaked(t)
}

// With live-restore, pods outlive the Engine.
func TestEngineWithLiveRestore(t *testing.T) {
	setLiveRestore(t)
	engine(t, "relaunch")
	p := lasting(t, "live-restored")
	before := p.ready()
	t.Run("Restarted", func(t *testing.T) {
		engine(t, "relaunch")
		idle(t, "after-restart").ready()
		p.of(t).lived(before)
	})
	t.Run("Killed", func(t *testing.T) {
		killEngine(t)
		engine(t, "relaunch")
		idle(t, "after-kill").ready()
		p.of(t).lived(before)
		noAddressIsLeaked(t)
	})
}

// setLiveRestore changes the Engine's live-restore from its next start until the test has ended.
func setLiveRestore(t *testing.T) {
	t.Helper()
	file := filepath.Join(engineDirectory(), "daemon.json")
	text, err := os.ReadFile(file)
	check.NoError(t, err, "the Engine's configuration")
	var config map[string]any
	check.NoError(t, json.Unmarshal(text, &config), "the Engine's configuration")
	config["live-restore"] = true
	with, err := json.Marshal(config)
	check.NoError(t, err, "the Engine's configuration")
	check.NoError(t, os.WriteFile(file, with, 0o644), "the Engine's configuration")
	t.Cleanup(func() {
		check.NoError(t, os.WriteFile(file, text, 0o644), "the Engine's configuration")
		engine(t, "relaunch")
	})
}

// engine runs engine.sh, which has started the node's Engine.
func engine(t *testing.T, command string) {
	t.Helper()
	output, err := exec.Command("bash", "../../../scripts/engine.sh", command, "--name", os.Getenv("NODE_ENGINE")).CombinedOutput()
	check.True(t, err == nil, "%s of the Engine: %v: %s", command, err, output)
}

func engineDirectory() string {
	return filepath.Dir(strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://"))
}

// killEngine kills dockerd. It returns when containerd has ended too, because the next dockerd would wait in vain for a
// containerd that is about to end.
func killEngine(t *testing.T) {
	t.Helper()
	pids := []int{
		pidIn(t, filepath.Join(engineDirectory(), "dockerd.pid")),
		pidIn(t, filepath.Join(engineDirectory(), "exec", "containerd", "containerd.pid")),
	}
	check.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL), "killing the Engine")
	for _, pid := range pids {
		eventually(t, "the Engine is dead", func() (bool, string) {
			return !lives(pid), fmt.Sprintf("process %d lives", pid)
		})
	}
}

// lives returns whether a process runs. A process that its parent has not reaped yet does not run.
func lives(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := strings.Cut(string(text), ") ")
	return err == nil && found && rest[0] != 'Z'
}
