package conformance

import (
	"os"
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func selinux(options *cri.SELinuxOption) func(*cri.ContainerConfig) {
	return node.Security(func(security *cri.LinuxContainerSecurityContext) { security.SelinuxOptions = options })
}

// label returns the label of the container's first process: user, role, type, level.
func label(container *node.Container) []string {
	text := strings.TrimRight(container.Exec("cat", "/proc/1/attr/current").Stdout, "\x00\n")
	return append(strings.SplitN(text, ":", 4), "", "", "", "")[:4]
}

func requireSELinux(t *testing.T) {
	t.Helper()
	_, err := os.Stat("/sys/fs/selinux/enforce")
	check.NoError(t, err, "SELinux")
}

func TestSELinux(t *testing.T) {
	full := &cri.SELinuxOption{User: "system_u", Role: "system_r", Type: "svirt_lxc_net_t", Level: "s0:c1,c2"}
	for name, kind := range map[string]struct {
		pod       func(*cri.PodSandboxConfig)
		container func(*cri.ContainerConfig)
		domain    string
	}{
		"unprivileged": {func(*cri.PodSandboxConfig) {}, func(*cri.ContainerConfig) {}, "container_t"},
		"privileged":   {privileged, privilegedContainer, "spc_t"},
	} {
		t.Run(name+"/level alone", func(t *testing.T) {
			requireSELinux(t)
			container := env.New(t).Pod(kind.pod).Start(kind.container, selinux(&cri.SELinuxOption{Level: "s0:c1,c2"}))
			check.Equal(t, "state", container.State(), running)
		})
		t.Run(name+"/full label", func(t *testing.T) {
			requireSELinux(t)
			container := env.New(t).Pod(kind.pod).Start(kind.container, selinux(full))
			check.Equal(t, "state", container.State(), running)
		})
		t.Run(name+"/malformed level is refused", func(t *testing.T) {
			requireSELinux(t)
			_, err := env.New(t).Pod(kind.pod).TryCreate(kind.container, selinux(&cri.SELinuxOption{Level: "malformed"}))
			check.Refused(t, err, "the level")
		})
		t.Run(name+"/type of the process", func(t *testing.T) {
			requireSELinux(t)
			got := label(env.New(t).Pod(kind.pod).Start(kind.container))
			check.Equal(t, "role", got[1], "system_r")
			check.Equal(t, "type", got[2], kind.domain)
			check.Contains(t, "level", got[3], "s0")
		})
		t.Run(name+"/label of the files", func(t *testing.T) {
			requireSELinux(t)
			container := env.New(t).Pod(kind.pod).Start(kind.container, selinux(full))
			mount := container.Sh("grep ' / overlay ' /proc/mounts").Stdout
			check.Contains(t, "mount of the root", mount, "object_r:container_file_t:s0")
			if name == "unprivileged" {
				check.Contains(t, "mount of the root", mount, "c1,c2")
			}
		})
		t.Run(name+"/containers of a pod have one label", func(t *testing.T) {
			requireSELinux(t)
			pod := env.New(t).Pod(kind.pod)
			one, other := label(pod.Start(kind.container)), label(pod.Start(kind.container))
			check.Equal(t, "label", strings.Join(other, ":"), strings.Join(one, ":"))
		})
	}
	t.Run("pods have labels of their own", func(t *testing.T) {
		requireSELinux(t)
		n := env.New(t)
		one, other := label(n.Pod().Start()), label(n.Pod().Start())
		check.True(t, one[3] != other[3], "both pods have level %s", one[3])
	})
}
