// Package conformance checks what Kubernetes requires of any CRI runtime, through the libraries that Kubernetes uses.
// CONFORMANCE_ENDPOINT names the runtime; docs/conformance.md describes the suite.
package conformance

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

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
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
	os.Exit(run(m))
}

// run leaves nothing behind on the node, even if it is interrupted.
func run(m *testing.M) int {
	const patience = 3 * time.Minute // a pod that is being made is awaited
	interrupted, ended := make(chan os.Signal, 1), make(chan int, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() { ended <- m.Run() }()
	code := 1
	select {
	case code = <-ended:
	case <-interrupted:
		fmt.Fprintln(os.Stderr, "conformance: interrupted; what the specs made is removed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := env.Leave(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance: something may be left on the node:", err)
	}
	return code
}
