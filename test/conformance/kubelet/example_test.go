package kubelet

import (
	"os"
	"testing"

	config "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"
)

// A kubelet does not start with an unknown key.
func TestExamplesHaveOnlyKeysThatTheKubeletKnows(t *testing.T) {
	for _, name := range []string{"kubelet-config.yaml", "standalone/kubelet-config.yaml"} {
		text, err := os.ReadFile("../../../examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, &config.KubeletConfiguration{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
