package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	created = cri.ContainerState_CONTAINER_CREATED
	running = cri.ContainerState_CONTAINER_RUNNING
	exited  = cri.ContainerState_CONTAINER_EXITED
)

func TestContainerIsCreated(t *testing.T) {
	container := env.New(t).Pod().Create()
	check.Equal(t, "listed state", container.Listed().GetState(), created)
	check.Equal(t, "state", container.State(), created)
}

func TestContainerKeepsItsAttributes(t *testing.T) {
	container := env.New(t).Pod().Create(func(config *cri.ContainerConfig) {
		config.Linux, config.Command = nil, nil
		config.Metadata.Attempt = 3
		config.Labels["team"] = "blue"
		config.Annotations = map[string]string{"example.com/note": "a b"}
	})
	status, listed := container.Status(), container.Listed()
	for where, metadata := range map[string]*cri.ContainerMetadata{"status": status.Metadata, "list": listed.Metadata} {
		check.Equal(t, where+": name", metadata.Name, container.Config.Metadata.Name)
		check.Equal(t, where+": attempt", metadata.Attempt, uint32(3))
	}
	check.Includes(t, "labels of the status", status.Labels, container.Config.Labels)
	check.Includes(t, "labels of the list", listed.Labels, container.Config.Labels)
	check.Includes(t, "annotations of the status", status.Annotations, container.Config.Annotations)
	check.Includes(t, "annotations of the list", listed.Annotations, container.Config.Annotations)
	check.Equal(t, "pod of the list", listed.PodSandboxId, container.Pod.ID)
}

func TestContainerStarts(t *testing.T) {
	container := env.New(t).Pod().Start()
	check.Equal(t, "state", container.State(), running)
}

func TestContainerStopsWithinItsGrace(t *testing.T) {
	container := env.New(t).Pod().Start(node.Shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"))
	container.Sh("until grep -q '^SigCgt:.*[1-9a-f]' /proc/1/status; do :; done") // the trap is set
	container.Stop(60)
	status := container.Status()
	check.Equal(t, "state", status.State, exited)
	check.Equal(t, "exit code", status.ExitCode, 0)
}

func TestContainerIsKilledAfterItsGrace(t *testing.T) {
	container := env.New(t).Pod().Start() // PID 1 ignores SIGTERM
	container.Stop(1)
	status := container.Status()
	check.Equal(t, "state", status.State, exited)
	check.Equal(t, "exit code", status.ExitCode, 137)
}

func TestContainerIsRemoved(t *testing.T) {
	for state, prepare := range map[string]func(*node.Container){
		"created": func(*node.Container) {},
		"running": func(container *node.Container) { container.Start() },
		"stopped": func(container *node.Container) { container.Start(); container.Stop(0) },
	} {
		t.Run(state, func(t *testing.T) {
			container := env.New(t).Pod().Create()
			prepare(container)
			container.Remove()
			check.True(t, container.Listed() == nil, "the removed container is still listed")
		})
	}
}

func TestExecSyncReturnsOutputAndCode(t *testing.T) {
	container := env.New(t).Pod().Start()
	check.Equal(t, "output", container.Exec("echo", "-n", "hello"), node.Output{Stdout: "hello"})
	check.Equal(t, "output", container.Sh("echo -n no >&2; exit 7"), node.Output{Stderr: "no", Code: 7})
}

func TestExecSyncTimeoutKillsTheProcess(t *testing.T) {
	n := env.New(t)
	container := n.Pod().Start(node.Shell("tail -f /dev/null"))
	_, _, err := n.Runtime.ExecSync(n.Context(), container.ID, []string{"sleep", "4321"}, time.Second)
	check.True(t, err != nil, "an exec that took longer than its timeout succeeded")
	check.Equal(t, "what is left of it", container.Sh("pgrep sleep || true"), node.Output{})
}

func TestHostDirectoryIsMounted(t *testing.T) {
	for _, kind := range []string{"directory", "symlink"} {
		t.Run(kind, func(t *testing.T) {
			pod := env.New(t).Pod()
			directory := t.TempDir()
			check.NoError(t, os.WriteFile(filepath.Join(directory, "there"), nil, 0o644), "file")
			path := directory
			if kind == "symlink" {
				path = filepath.Join(t.TempDir(), "link")
				check.NoError(t, os.Symlink(directory, path), "link")
			}
			container := pod.Start(node.Mount(&cri.Mount{
				HostPath: path, ContainerPath: "/mounted", SelinuxRelabel: true,
			}))
			check.Equal(t, "content", container.Exec("ls", "-A", "/mounted").Stdout, "there\n")
		})
	}
}

func TestLogHasAllOutputWhenTheContainerHasExited(t *testing.T) {
	pod := env.New(t).Pod()
	container := pod.Start(node.Shell("echo hello World; echo oops >&2; echo -n unfinished"))
	container.Exited()
	raw := container.RawLog() // read at once, because the log must be complete
	check.Contains(t, "log", raw, " stdout F hello World\n", " stderr F oops\n", " unfinished")
	check.Equal(t, "kubectl logs", container.Log(), node.Output{Stdout: "hello World\nunfinished", Stderr: "oops\n"})
}

func TestLogFileIsThereWhenStartReturns(t *testing.T) {
	container := env.New(t).Pod().Start()
	_, err := os.Stat(container.LogPath())
	check.NoError(t, err, "log file")
	check.Equal(t, "log_path of the status", container.Status().LogPath, container.LogPath())
}

func TestLogIsFollowedToItsEnd(t *testing.T) {
	n := env.New(t)
	container := n.Pod().Start(node.Shell("for i in 1 2 3; do echo line $i; sleep 0.2; done"))
	text, err := container.FollowLog(n.Context())
	check.NoError(t, err, "following")
	check.Equal(t, "kubectl logs -f", text, "line 1\nline 2\nline 3\n")
}

func TestLogIsReopened(t *testing.T) {
	n := env.New(t)
	container := n.Pod().Start(node.Shell("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"))
	check.Eventually(t, "the log grows", func() bool { return len(container.RawLog()) > 0 })
	rotated := container.LogPath() + ".1"
	check.NoError(t, os.Rename(container.LogPath(), rotated), "rename")
	check.NoError(t, n.Runtime.ReopenContainerLog(n.Context(), container.ID), "ReopenContainerLog")
	_, err := os.Stat(container.LogPath())
	check.NoError(t, err, "the new file when the call has returned")
	old, err := os.ReadFile(rotated)
	check.NoError(t, err, "old log")
	check.Eventually(t, "the new file grows", func() bool { return len(container.RawLog()) > 500 })
	still, err := os.ReadFile(rotated)
	check.NoError(t, err, "old log")
	check.Equal(t, "size of the old file later", len(still), len(old))

	// No line is lost or repeated between the two files.
	container.Stop(0)
	var last int
	_, err = fmt.Sscanf(lastLine(string(old)), "line %d", &last)
	check.NoError(t, err, "last line of the old file")
	check.Equal(t, "first line of the new file", firstLine(container.RawLog()), fmt.Sprintf("line %d", last+1))
}

func TestContainerStats(t *testing.T) {
	n := env.New(t)
	pod := n.Pod(func(config *cri.PodSandboxConfig) { config.Labels["spec"] = config.Metadata.Name })
	label := map[string]string{"spec": pod.Config.Metadata.Name}
	mark := func(config *cri.ContainerConfig) { config.Labels["spec"] = label["spec"] }
	containers := []*node.Container{pod.Start(mark), pod.Start(mark), pod.Start(mark)}
	first := containers[0]

	t.Run("of one container", func(t *testing.T) {
		stats, err := n.Runtime.ContainerStats(n.Context(), first.ID)
		check.NoError(t, err, "ContainerStats")
		check.Equal(t, "id", stats.Attributes.Id, first.ID)
		check.Equal(t, "name", stats.Attributes.Metadata.Name, first.Config.Metadata.Name)
		check.True(t, stats.Cpu.Timestamp != 0, "no time of the CPU reading")
		check.True(t, stats.Memory.Timestamp != 0, "no time of the memory reading")
		check.True(t, stats.Memory.WorkingSetBytes.GetValue() > 0, "no working set: %v", stats.Memory)
		check.True(t, stats.Cpu.UsageCoreNanoSeconds.GetValue() > 0, "no CPU: %v", stats.Cpu)
	})
	nobody := map[string]string{"spec": "nobody"}
	for name, spec := range map[string]struct {
		filter *cri.ContainerStatsFilter
		want   []*node.Container
	}{
		"listed by id":                 {&cri.ContainerStatsFilter{Id: first.ID}, containers[:1]},
		"listed by pod":                {&cri.ContainerStatsFilter{PodSandboxId: pod.ID}, containers},
		"listed by label":              {&cri.ContainerStatsFilter{LabelSelector: label}, containers},
		"listed by a label nobody has": {&cri.ContainerStatsFilter{LabelSelector: nobody}, nil},
		"listed all":                   {nil, containers},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := n.Runtime.ListContainerStats(n.Context(), spec.filter)
			check.NoError(t, err, "ListContainerStats")
			found := map[string]bool{}
			for _, stats := range all {
				found[stats.Attributes.Id] = true
			}
			for _, container := range spec.want {
				check.True(t, found[container.ID], "no stats of %s", container.ID)
			}
			if spec.filter != nil { // other specs have containers too
				check.Equal(t, "number of containers", len(all), len(spec.want))
			}
		})
	}
}

// logText returns the text of a CRI log line, which begins with the fourth word.
func logText(line string) string {
	parts := strings.SplitN(line, " ", 4)
	return parts[len(parts)-1]
}

func firstLine(log string) string {
	line, _, _ := strings.Cut(log, "\n")
	return logText(line)
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	return logText(lines[len(lines)-1])
}
