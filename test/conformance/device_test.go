package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A device plugin may name a CDI device. The device's specification is a file on the node, and the container requests the
// device by name.
func TestDeviceByCDI(t *testing.T) {
	const directory = "/var/run/cdi" // the directory in the standard
	n := env.New(t)
	if err := os.Mkdir(directory, 0o755); err == nil {
		t.Cleanup(func() { _ = os.Remove(directory) }) // fails if another spec uses the directory
	}
	vendor := n.Name("vendor") + ".example.com"
	path := filepath.Join(directory, vendor+".json")
	text := `{"cdiVersion":"0.5.0","kind":"` + vendor + `/thing","devices":[{"name":"one","containerEdits":{
		"env":["THING=one"],"deviceNodes":[{"path":"/dev/thing","hostPath":"/dev/null"}]}}]}`
	check.NoError(t, os.WriteFile(path, []byte(text), 0o644), "specification")
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
	container := n.Pod().Start(func(config *cri.ContainerConfig) {
		config.CDIDevices = []*cri.CDIDevice{{Name: vendor + "/thing=one"}}
	})
	check.Equal(t, "what the device is", container.Exec("stat", "-c", "%F", "/dev/thing").Stdout, "character special file\n")
	environment := container.Sh("tr '\\0' '\\n' </proc/1/environ").Stdout
	check.Contains(t, "environment of the container", environment, "THING=one\n")
}

func TestDeviceOfTheHost(t *testing.T) {
	container := env.New(t).Pod().Start(func(config *cri.ContainerConfig) {
		// /dev/loop-control is not among the devices that every container may use.
		config.Devices = []*cri.Device{{HostPath: "/dev/loop-control", ContainerPath: "/dev/thing", Permissions: "r"}}
	})
	check.Equal(t, "opening it for reading", container.Sh(": </dev/thing"), node.Output{})
	check.Contains(t, "opening it for writing", container.Sh(": >/dev/thing").Stderr, "Operation not permitted")
}

func TestUnknownCDIDeviceIsRefused(t *testing.T) {
	pod := env.New(t).Pod()
	container, err := pod.TryCreate(func(config *cri.ContainerConfig) {
		config.CDIDevices = []*cri.CDIDevice{{Name: "nobody.example.com/thing=one"}}
	})
	if err == nil {
		err = pod.Runtime.StartContainer(pod.Context(), container.ID)
	}
	check.Refused(t, err, "a device that nobody has described")
}
