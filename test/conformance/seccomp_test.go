package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const seccompMode = "sed -n 's/^Seccomp:\\s*//p' /proc/self/status"

var unconfined = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}

// denying writes a profile that makes one system call fail with EPERM.
func denying(t *testing.T, call string) *cri.SecurityProfile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profile.json")
	text := `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["` + call + `"],"action":"SCMP_ACT_ERRNO"}]}`
	check.NoError(t, os.WriteFile(path, []byte(text), 0o600), "profile")
	return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: path}
}

func confined(profile *cri.SecurityProfile) func(*cri.ContainerConfig) {
	return node.Security(func(security *cri.LinuxContainerSecurityContext) { security.Seccomp = profile })
}

func TestSeccompMode(t *testing.T) {
	for name, spec := range map[string]struct {
		profile *cri.SecurityProfile
		want    string
	}{
		"unconfined":          {unconfined, "0\n"},
		"the runtime's own":   {&cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}, "2\n"},
		"an empty profile":    {&cri.SecurityProfile{}, "2\n"},
		"no profile":          {nil, "0\n"},
		"a profile of a file": {denying(t, "chmod"), "2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			container := env.Alone(t).Pod().Start(confined(spec.profile))
			check.Equal(t, "mode", container.Sh(seccompMode).Stdout, spec.want)
		})
	}
}

func TestSeccompProfileOfAFile(t *testing.T) {
	n := env.New(t)
	profile := denying(t, "chmod")
	pod := n.Pod(node.PodSecurity(func(security *cri.LinuxSandboxSecurityContext) { security.Seccomp = profile }))
	output := pod.Start(confined(profile)).Exec("chmod", "400", "/")
	check.Contains(t, "chmod", output.Stderr, "Operation not permitted")
}

func TestSeccompProfileMustExist(t *testing.T) {
	pod := env.New(t).Pod()
	container, err := pod.TryCreate(confined(&cri.SecurityProfile{
		ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "/not/there.json",
	}))
	if err == nil {
		err = pod.Runtime.StartContainer(pod.Context(), container.ID)
	}
	check.Refused(t, err, "a profile that does not exist")
}

func TestSeccompAndCapabilities(t *testing.T) {
	const rename = "hostname other-name && hostname"
	admin := capabilities(&cri.Capability{AddCapabilities: []string{"SYS_ADMIN"}})

	t.Run("unconfined", func(t *testing.T) {
		container := env.New(t).Pod().Start(admin, confined(unconfined))
		check.Equal(t, "output", container.Sh(rename).Stdout, "other-name\n")
	})
	t.Run("denied", func(t *testing.T) {
		container := env.New(t).Pod().Start(admin, confined(denying(t, "sethostname")))
		check.Contains(t, "output", container.Sh(rename).Stderr, "Operation not permitted")
	})
	t.Run("privileged", func(t *testing.T) {
		container := env.New(t).Pod(privileged).Start(privilegedContainer, confined(denying(t, "sethostname")))
		check.Equal(t, "output", container.Sh(rename).Stdout, "other-name\n")
	})
}
