package conformance

import (
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// No runtime would assign this id.
const unknown = "7d9e2c4a-0f6b-4a57-9f0e-3f1f3a6f5d21"

func TestRemovingTheUnknownSucceeds(t *testing.T) {
	for name, call := range map[string]func(*testing.T) error{
		"StopPodSandbox":   func(t *testing.T) error { return env.Runtime.StopPodSandbox(t.Context(), unknown) },
		"RemovePodSandbox": func(t *testing.T) error { return env.Runtime.RemovePodSandbox(t.Context(), unknown) },
		"StopContainer":    func(t *testing.T) error { return env.Runtime.StopContainer(t.Context(), unknown, 0) },
		"RemoveContainer":  func(t *testing.T) error { return env.Runtime.RemoveContainer(t.Context(), unknown) },
		"RemoveImage": func(t *testing.T) error {
			image := &cri.ImageSpec{Image: "sha256:" + strings.Repeat("0", 64)}
			if err := env.Images.RemoveImage(t.Context(), image); err != nil {
				return err
			}
			return env.Images.RemoveImage(t.Context(), &cri.ImageSpec{Image: strings.Repeat("0", 64)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			env.New(t)
			check.NoError(t, call(t), name)
		})
	}
}

func TestPodMayBeStoppedTwice(t *testing.T) {
	pod := env.New(t).Pod()
	pod.Stop()
	pod.Stop()
}

func TestContainerMayBeRemovedTwice(t *testing.T) {
	container := env.New(t).Pod().Create()
	container.Remove()
	container.Remove()
}
