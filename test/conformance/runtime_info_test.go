package conformance

import (
	"testing"

	"dockbridge.test/conformance/internal/check"
)

func TestVersionNamesRuntimeAndAPI(t *testing.T) {
	n := env.New(t)
	version, err := n.Runtime.Version(n.Context(), "0.1.0")
	check.NoError(t, err, "Version")
	for what, text := range map[string]string{
		"version": version.Version, "runtime name": version.RuntimeName,
		"runtime version": version.RuntimeVersion, "API version": version.RuntimeApiVersion,
	} {
		check.True(t, text != "", "no %s", what)
	}
}

func TestStatusIsReady(t *testing.T) {
	n := env.New(t)
	status, err := n.Runtime.Status(n.Context(), true)
	check.NoError(t, err, "Status")
	ready := map[string]bool{}
	for _, condition := range status.Status.Conditions {
		ready[condition.Type] = condition.Status
	}
	check.True(t, ready["RuntimeReady"], "RuntimeReady is not true: %v", status.Status.Conditions)
	check.True(t, ready["NetworkReady"], "NetworkReady is not true: %v", status.Status.Conditions)
}
