package kubelet

import (
	"os"
	"testing"

	config "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"
)

// A kubelet does not start with a key that it does not know.
func TestExampleHasOnlyKeysThatTheKubeletKnows(t *testing.T) {
	text, err := os.ReadFile("../../../examples/kubelet-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &config.KubeletConfiguration{}); err != nil {
		t.Error(err)
	}
}
