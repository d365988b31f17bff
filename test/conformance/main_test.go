// Package conformance asks of any CRI runtime what Kubernetes asks of it, through the libraries that Kubernetes uses.
// CONFORMANCE_ENDPOINT names the runtime; docs/conformance.md tells the rest.
package conformance

import (
	"context"
	"fmt"
	"os"
	"testing"

	"dockbridge.test/conformance/internal/node"
	"dockbridge.test/conformance/internal/registry"
	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

var env *node.Environment

func TestMain(m *testing.M) {
	endpoint := os.Getenv("CONFORMANCE_ENDPOINT")
	if endpoint == "" {
		fmt.Fprintln(os.Stderr, "set CONFORMANCE_ENDPOINT=unix:///… (or use: make conformance)")
		os.Exit(2)
	}
	// The clients log each error that a test expects.
	klog.SetLogger(logr.Discard())
	address := os.Getenv("CONFORMANCE_REGISTRY")
	if address == "" {
		address = "127.0.0.1:0"
	}
	images, err := registry.Start(".", address)
	if err == nil {
		env, err = node.Connect(context.Background(), endpoint, os.Getenv("CONFORMANCE_HANDLER"), images)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
