package conformance

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	"dockbridge.test/conformance/internal/registry"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// security is a change of a container's security context.
type security = func(*cri.LinuxContainerSecurityContext)

// sharing makes a pod and returns the options with which its containers request the same namespaces.
func sharing(n *node.Node, change func(*cri.NamespaceOption)) (*node.Pod, func(*cri.ContainerConfig)) {
	pod := n.Pod(func(config *cri.PodSandboxConfig) { change(config.Linux.SecurityContext.NamespaceOptions) })
	return pod, func(config *cri.ContainerConfig) { change(config.Linux.SecurityContext.NamespaceOptions) }
}

func TestProcessNamespaceOfTheHost(t *testing.T) {
	pod, same := sharing(env.New(t), func(options *cri.NamespaceOption) { options.Pid = cri.NamespaceMode_NODE })
	pod.Start(same, node.Shell("exec sleep 98765"))
	seen := pod.Start(same).Sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").Stdout
	check.Contains(t, "processes seen", seen, "sleep 98765")
	check.Equal(t, "PID namespace", pod.Start(same).Exec("readlink", "/proc/self/ns/pid").Stdout, namespaceOfHost(t, "pid"))
}

func TestProcessNamespaceOfThePod(t *testing.T) {
	pod, same := sharing(env.New(t), func(options *cri.NamespaceOption) { options.Pid = cri.NamespaceMode_POD })
	first := pod.Start(same, node.Shell("exec sleep 98764"))
	check.Lacks(t, "PID 1", first.Exec("cat", "/proc/1/cmdline").Stdout, "98764")
	seen := pod.Start(same).Sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").Stdout
	check.Contains(t, "processes that another container of the pod sees", seen, "sleep 98764")
}

func TestProcessNamespaceOfTheContainer(t *testing.T) {
	pod := env.New(t).Pod()
	container := pod.Start(node.Shell("exec sleep 98763"))
	check.Equal(t, "PID 1", container.Exec("cat", "/proc/1/cmdline").Stdout, "sleep\x0098763\x00")
	seen := pod.Start().Sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").Stdout
	check.Lacks(t, "processes that another container of the pod sees", seen, "98763")
}

// A debug container sees the processes of one other container.
func TestProcessNamespaceOfAnotherContainer(t *testing.T) {
	pod := env.New(t).Pod()
	target := pod.Start(node.Shell("exec sleep 98762"))
	debug := pod.Start(node.Security(func(security *cri.LinuxContainerSecurityContext) {
		security.NamespaceOptions.Pid = cri.NamespaceMode_TARGET
		security.NamespaceOptions.TargetId = target.ID
	}))
	check.Equal(t, "PID 1", debug.Exec("cat", "/proc/1/cmdline").Stdout, "sleep\x0098762\x00")
	debug.Stop(0) // stopped before its processes disappear with their namespace
}

func namespaceOfHost(t *testing.T, kind string) string {
	t.Helper()
	name, err := exec.Command("readlink", "/proc/self/ns/"+kind).Output()
	check.NoError(t, err, "namespace")
	return string(name)
}

func TestIPCNamespace(t *testing.T) {
	made, err := exec.Command("ipcmk", "-M", "1048576").Output()
	check.NoError(t, err, "ipcmk")
	id := regexp.MustCompile(`\d+`).FindString(string(made))
	t.Cleanup(func() {
		if err := exec.Command("ipcrm", "-m", id).Run(); err != nil {
			t.Errorf("ipcrm: %v", err)
		}
	})
	for name, mode := range map[string]cri.NamespaceMode{"of the host": cri.NamespaceMode_NODE, "of the pod": cri.NamespaceMode_POD} {
		t.Run(name, func(t *testing.T) {
			n := env.Alone(t) // not parallel: the segment is removed when the parent ends
			pod, same := sharing(n, func(options *cri.NamespaceOption) { options.Ipc = mode })
			seen := regexp.MustCompile(`(?m)^\s*-?\d+\s+` + id + `\s`).MatchString(pod.Start(same).Exec("ipcs", "-m").Stdout)
			check.Equal(t, "the host's segment is seen", seen, mode == cri.NamespaceMode_NODE)
		})
	}
}

func TestNetworkNamespace(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err, "listen")
	t.Cleanup(func() { _ = listener.Close() }) // the test is over, so an error does not matter
	port := fmt.Sprintf(":%d ", listener.Addr().(*net.TCPAddr).Port)
	for name, mode := range map[string]cri.NamespaceMode{"of the host": cri.NamespaceMode_NODE, "of the pod": cri.NamespaceMode_POD} {
		t.Run(name, func(t *testing.T) {
			n := env.Alone(t) // not parallel: the listener is closed when the parent ends
			pod, same := sharing(n, func(options *cri.NamespaceOption) { options.Network = mode })
			output := pod.Run("netstat -ltn", same)
			check.Equal(t, "the host's port is seen", strings.Contains(output.Stdout, port), mode == cri.NamespaceMode_NODE)
		})
	}
}

func TestIdentity(t *testing.T) {
	for name, spec := range map[string]struct {
		change security
		script string
		want   string
	}{
		"user": {
			func(s *cri.LinuxContainerSecurityContext) { s.RunAsUser = &cri.Int64Value{Value: 1001} },
			"id -u", "1001\n",
		},
		"user by name": {
			func(s *cri.LinuxContainerSecurityContext) { s.RunAsUsername = "nobody" },
			"id -nu", "nobody\n",
		},
		"user and group": {
			func(s *cri.LinuxContainerSecurityContext) {
				s.RunAsUser, s.RunAsGroup = &cri.Int64Value{Value: 1001}, &cri.Int64Value{Value: 1002}
			},
			"echo $(id -u):$(id -g)", "1001:1002\n",
		},
		"supplemental groups": {
			func(s *cri.LinuxContainerSecurityContext) { s.SupplementalGroups = []int64{1234, 5678} },
			"for group in $(id -G); do echo $group; done | grep -xE '1234|5678'", "1234\n5678\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := env.New(t).Pod()
			check.Equal(t, "output", pod.Run(spec.script, node.Security(spec.change)).Stdout, spec.want)
			check.Equal(t, "output of an exec", pod.Start(node.Security(spec.change)).Sh(spec.script).Stdout, spec.want)
		})
	}
}

func TestGroupNeedsAUser(t *testing.T) {
	_, err := env.New(t).Pod().TryCreate(node.Security(func(security *cri.LinuxContainerSecurityContext) {
		security.RunAsGroup = &cri.Int64Value{Value: 1002}
	}))
	check.Refused(t, err, "run_as_group without run_as_user")
}

func TestRootFilesystemMayBeReadOnly(t *testing.T) {
	pod := env.New(t).Pod()
	output := pod.Run("touch /test.go", node.Security(func(security *cri.LinuxContainerSecurityContext) {
		security.ReadonlyRootfs = true
	}))
	check.Equal(t, "output", output, node.Output{Stderr: "touch: /test.go: Read-only file system\n", Code: 1})
	check.Equal(t, "output", pod.Run("touch /test.go && echo Found"), node.Output{Stdout: "Found\n"})
}

// addBridge is a command that needs no capability but CAP_NET_ADMIN.
const addBridge = "brctl addbr foobar && echo made"

func TestPrivilegedContainer(t *testing.T) {
	pod := env.New(t).Pod(privileged)
	check.Equal(t, "output", pod.Start(privilegedContainer).Sh(addBridge).Stdout, "made\n")
	check.Equal(t, "seccomp", pod.Start(privilegedContainer).Sh(seccompMode).Stdout, "0\n")
	check.True(t, env.Alone(t).Pod().Start().Sh(addBridge).Code != 0, "an ordinary container can add a bridge")
}

const noCapabilities = "0000000000000000\n"

func capabilities(change *cri.Capability) func(*cri.ContainerConfig) {
	return node.Security(func(security *cri.LinuxContainerSecurityContext) { security.Capabilities = change })
}

const boundingSet = "sed -n 's/^CapBnd:\\s*//p' /proc/self/status"

func TestCapabilityIsAdded(t *testing.T) {
	pod := env.New(t).Pod()
	with := pod.Start(capabilities(&cri.Capability{AddCapabilities: []string{"NET_ADMIN"}}))
	check.Equal(t, "output with NET_ADMIN", with.Sh(addBridge).Stdout, "made\n")
	check.True(t, pod.Start().Sh("brctl addbr other").Code != 0, "an ordinary container can add a bridge")
}

func TestCapabilityIsDropped(t *testing.T) {
	pod := env.New(t).Pod()
	ping := "ping -c 1 127.0.0.1"
	without := pod.Start(capabilities(&cri.Capability{DropCapabilities: []string{"NET_RAW"}})).Sh(ping)
	check.True(t, without.Code != 0, "ping works without NET_RAW")
	check.Contains(t, "what ping says", without.Stderr, "permission denied")
}

func TestAllCapabilities(t *testing.T) {
	pod := env.New(t).Pod()
	all := pod.Start(capabilities(&cri.Capability{AddCapabilities: []string{"ALL"}})).Sh(boundingSet).Stdout
	usual := pod.Start().Sh(boundingSet).Stdout
	check.True(t, all > usual, "ALL gives %s, nothing gives %s", all, usual)
	none := pod.Start(capabilities(&cri.Capability{DropCapabilities: []string{"ALL"}})).Sh(boundingSet).Stdout
	check.Equal(t, "capabilities without ALL", none, noCapabilities)
	one := pod.Start(capabilities(&cri.Capability{
		DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"CHOWN"},
	})).Sh(boundingSet).Stdout
	check.Equal(t, "capabilities without ALL but CHOWN", one, "0000000000000001\n")
}

func TestMaskedPaths(t *testing.T) {
	container := env.New(t).Pod().Start(node.Security(func(security *cri.LinuxContainerSecurityContext) {
		security.MaskedPaths = []string{"/bin/ls"}
	}))
	output := container.Sh("ls")
	check.Equal(t, "output", output.Stderr, "/bin/sh: ls: Permission denied\n")
	// The container's list replaces the runtime's own list, under which /proc/keys is a device.
	check.Equal(t, "what /proc/keys is", container.Exec("stat", "-c", "%F", "/proc/keys").Stdout, "regular empty file\n")
}

func TestReadOnlyPaths(t *testing.T) {
	container := env.New(t).Pod().Start(node.Security(func(security *cri.LinuxContainerSecurityContext) {
		security.ReadonlyPaths = []string{"/tmp"}
	}))
	check.Equal(t, "output", container.Exec("touch", "/tmp/test").Stderr, "touch: /tmp/test: Read-only file system\n")
}

func TestNoNewPrivileges(t *testing.T) {
	pod := env.New(t).Pod()
	for forbidden, want := range map[bool]string{true: "Effective uid: 1000\n", false: "Effective uid: 0\n"} {
		output := pod.Run("nnp", node.Security(func(security *cri.LinuxContainerSecurityContext) {
			security.RunAsUser = &cri.Int64Value{Value: 1000}
			security.NoNewPrivs = forbidden
		}))
		check.Equal(t, fmt.Sprintf("output with no_new_privs=%t", forbidden), output.Stdout, want)
	}
}

func TestSupplementalGroupsPolicy(t *testing.T) {
	for policy, want := range map[cri.SupplementalGroupsPolicy]string{
		cri.SupplementalGroupsPolicy_Merge: "1000 1234 50000", cri.SupplementalGroupsPolicy_Strict: "1000 1234",
	} {
		t.Run(policy.String(), func(t *testing.T) {
			n := env.New(t)
			features, _ := n.Features()
			check.True(t, features.GetSupplementalGroupsPolicy(), "the runtime does not offer supplemental_groups_policy")
			reference := n.Publish(func(image *registry.Image) { image.User = "1000" })[0]
			container := n.Pod().Start(node.Of(reference), node.Shell("id -G; exec sleep 1000"),
				node.Security(func(security *cri.LinuxContainerSecurityContext) {
					security.RunAsUser = &cri.Int64Value{Value: 1000}
					security.SupplementalGroups = []int64{1234}
					security.SupplementalGroupsPolicy = policy
				}))
			check.Equal(t, "groups of an exec", container.Exec("id", "-G").Stdout, want+"\n")
			check.Eventually(t, "output", func() bool { return container.RawLog() != "" })
			check.Equal(t, "groups of the container", container.Log().Stdout, want+"\n")
			user := container.Status().GetUser().GetLinux()
			check.Equal(t, "uid", user.GetUid(), 1000)
			check.Equal(t, "gid", user.GetGid(), 1000)
			check.Equal(t, "groups of the status", strings.Trim(fmt.Sprint(user.GetSupplementalGroups()), "[]"), want)
		})
	}
}
