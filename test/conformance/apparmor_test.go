package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// loadProfile loads an AppArmor profile and returns its name.
func loadProfile(t *testing.T, n *node.Node, rule string) string {
	t.Helper()
	name, path := n.Name("conformance"), filepath.Join(t.TempDir(), "profile")
	text := "#include <tunables/global>\nprofile " + name + " flags=(attach_disconnected) {\n  file,\n  " + rule + "\n}\n"
	check.NoError(t, os.WriteFile(path, []byte(text), 0o644), "profile")
	output, err := exec.Command("apparmor_parser", "-r", path).CombinedOutput()
	check.NoError(t, err, "apparmor_parser: "+string(output))
	t.Cleanup(func() {
		if err := exec.Command("apparmor_parser", "-R", path).Run(); err != nil {
			t.Errorf("apparmor_parser -R: %v", err)
		}
	})
	return name
}

const (
	denyWrite  = "deny /tmp/** w,"
	auditWrite = "audit /tmp/** w,"
)

// appArmorFields are the ways to name a profile: the old field, the new field, and both, where the new field has priority.
var appArmorFields = map[string]func(security *cri.LinuxContainerSecurityContext, profile string){
	"old field": func(security *cri.LinuxContainerSecurityContext, profile string) {
		security.ApparmorProfile = "localhost/" + profile
	},
	"new field": func(security *cri.LinuxContainerSecurityContext, profile string) {
		security.Apparmor = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "localhost/" + profile}
	},
	"both fields": func(security *cri.LinuxContainerSecurityContext, profile string) {
		security.ApparmorProfile = "localhost/not-there"
		security.Apparmor = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "localhost/" + profile}
	},
}

func TestAppArmor(t *testing.T) {
	for field, set := range appArmorFields {
		with := func(profile string) func(*cri.ContainerConfig) {
			return node.Security(func(security *cri.LinuxContainerSecurityContext) { set(security, profile) })
		}
		t.Run(field+"/a profile that is not loaded is refused", func(t *testing.T) {
			_, err := env.New(t).Pod().TryCreate(with("not-loaded"))
			check.Refused(t, err, "the profile")
			check.True(t, appArmorEnabled(), "AppArmor is not enabled: nothing was shown")
		})
		t.Run(field+"/a profile denies", func(t *testing.T) {
			n := env.New(t)
			container := n.Pod().Start(with(loadProfile(t, n, denyWrite)))
			check.True(t, container.Exec("touch", "/tmp/foo").Code != 0, "the file could be written")
		})
		t.Run(field+"/a profile allows", func(t *testing.T) {
			n := env.New(t)
			container := n.Pod().Start(with(loadProfile(t, n, auditWrite)))
			check.Equal(t, "exit code", container.Exec("touch", "/tmp/foo").Code, 0)
		})
	}
}

func appArmorEnabled() bool {
	flag, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && flag[0] == 'Y'
}
