package kubelet

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/node"
	"dockbridge.test/conformance/internal/registry"
	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

var (
	walk *world
	// running is the kubelet. A test may replace it by another one.
	running *kubelet
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBELET") == "" {
		fmt.Fprintln(os.Stderr, "the tests need a node and a kubelet (use: make kubelet)")
		os.Exit(2)
	}
	// The clients log each error that a test expects.
	klog.SetLogger(logr.Discard())
	var err error
	if walk, err = prepare(); err == nil {
		running, err = start(walk.work, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	walk.watch = newWatch()
	code := m.Run()
	// The kubelet does not report a pod completely while the runtime is still stopping its sandbox.
	for tries := 0; tries < 120 && len(groupsOf("*")) > 0; tries++ {
		time.Sleep(500 * time.Millisecond)
	}
	if err := running.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepare() (*world, error) {
	images, err := registry.Start("..", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	env, err := node.Connect(context.Background(), os.Getenv("CONFORMANCE_ENDPOINT"), "", images)
	if err != nil {
		return nil, err
	}
	layer, err := layerOf("bin/healthd", os.Getenv("HEALTHD"))
	if err != nil {
		return nil, err
	}
	image := registry.Image{Layers: [][]byte{images.Base, layer}, Marker: "walk"}
	return &world{Environment: env, work: os.Getenv("NODE_WORK"), image: images.Publish(image, "walk", "1")[0]}, nil
}

// layerOf returns a layer with one program.
func layerOf(path, file string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	if err := files.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := files.Write(content); err != nil {
		return nil, err
	}
	return layer.Bytes(), files.Close()
}
