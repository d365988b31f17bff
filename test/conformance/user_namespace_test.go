package conformance

import (
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func mapping(container, host, length uint32) []*cri.IDMapping {
	return []*cri.IDMapping{{ContainerId: container, HostId: host, Length: length}}
}

func userNamespace(options *cri.UserNamespace) func(*cri.PodSandboxConfig) {
	return node.PodSecurity(func(security *cri.LinuxSandboxSecurityContext) {
		security.NamespaceOptions.UsernsOptions = options
	})
}

func inUserNamespace(options *cri.UserNamespace) func(*cri.ContainerConfig) {
	return node.Security(func(security *cri.LinuxContainerSecurityContext) {
		security.NamespaceOptions.UsernsOptions = options
	})
}

// kubelet requests the node's user namespace for hostUsers: true. Every runtime supports it.
func TestUserNamespaceOfTheNode(t *testing.T) {
	options := &cri.UserNamespace{Mode: cri.NamespaceMode_NODE}
	pod := env.New(t).Pod(userNamespace(options))
	check.Equal(t, "mapping", pod.Start(inUserNamespace(options)).Sh("echo $(cat /proc/self/uid_map)").Stdout, "0 0 4294967295\n")
}

func TestUserNamespaceOfThePod(t *testing.T) {
	n := env.New(t)
	_, features := n.Features()
	check.True(t, features.GetUserNamespaces(), "the runtime handler does not offer user_namespaces")
	options := &cri.UserNamespace{Mode: cri.NamespaceMode_POD, Uids: mapping(0, 100000, 65536), Gids: mapping(0, 100000, 65536)}
	container := n.Pod(userNamespace(options)).Start(inUserNamespace(options))
	check.Equal(t, "mapping", container.Sh("echo $(cat /proc/self/uid_map)").Stdout, "0 100000 65536\n")
}

func TestUserNamespaceIsRefused(t *testing.T) {
	for name, options := range map[string]*cri.UserNamespace{
		"with two mappings": {
			Mode: cri.NamespaceMode_POD,
			Uids: append(mapping(0, 100000, 10), mapping(10, 200000, 10)...),
			Gids: append(mapping(0, 100000, 10), mapping(10, 200000, 10)...),
		},
		"without root":     {Mode: cri.NamespaceMode_POD, Uids: mapping(1, 100000, 10), Gids: mapping(1, 100000, 10)},
		"of the container": {Mode: cri.NamespaceMode_CONTAINER, Uids: mapping(0, 100000, 10), Gids: mapping(0, 100000, 10)},
		"of another one":   {Mode: cri.NamespaceMode_TARGET, Uids: mapping(0, 100000, 10), Gids: mapping(0, 100000, 10)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := env.New(t).TryPod(userNamespace(options))
			check.Refused(t, err, "the user namespace")
		})
	}
}
