package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"dockbridge.test/conformance/internal/registry"
)

type writer = io.Writer

var errInterrupted = errors.New("interrupted: there is no report")

func runSpecs(suite string, given options, events writer, interrupted <-chan os.Signal) error {
	specs := testBinary(suite, "specs", specsTimeout, given)
	specs.Env = append(specs.Env, "CONFORMANCE_HANDLER="+given.handler, "CONFORMANCE_REGISTRY="+given.registry)
	// On a signal the specs remove the objects that they made.
	return runTests(suite, specs, events, interrupted, true)
}

// runOld publishes an image for the old clients, whose module has no registry.
func runOld(suite string, given options, events writer, interrupted <-chan os.Signal) error {
	images, err := registry.Start(suite, "127.0.0.1:0")
	if err != nil {
		return err
	}
	base := registry.Image{Layers: [][]byte{images.Base}, Marker: "base", Cmd: []string{"sh"}}
	old := testBinary(suite, "old-clients", oldTimeout, given)
	old.Env = append(old.Env, "CONFORMANCE_IMAGE="+images.Publish(base, "old", "1")[0])
	// The old clients get no signal, because they would leave their pod. They take only seconds.
	return runTests(suite, old, events, interrupted, false)
}

func testBinary(suite, name, timeout string, given options) *exec.Cmd {
	tests := exec.Command(filepath.Join(suite, name), "-test.v=test2json", "-test.timeout="+timeout,
		"-test.parallel="+parallel, "-test.run="+given.pattern)
	tests.Dir = suite
	tests.Env = append(os.Environ(), "CONFORMANCE_ENDPOINT="+given.endpoint)
	// A terminal's Ctrl-C reaches this process, which passes it on.
	tests.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return tests
}

// runTests adds the events of a test binary to events. Failed tests are not an error here, because the events report them.
func runTests(suite string, tests *exec.Cmd, events writer, interrupted <-chan os.Signal, passOn bool) error {
	output, input, err := os.Pipe()
	if err != nil {
		return err
	}
	// test2json reports the duration of a test only with -t.
	convert := exec.Command(filepath.Join(suite, "test2json"), "-t", "-p", filepath.Base(tests.Path))
	convert.Stdin, convert.Stdout, convert.Stderr = output, events, os.Stderr
	convert.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	tests.Stdout, tests.Stderr = input, input
	err = errors.Join(convert.Start(), tests.Start())
	// Both processes have inherited their ends of the pipe.
	_, _ = output.Close(), input.Close()
	if err != nil {
		return fmt.Errorf("the suite in %s is not whole: %w", suite, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- tests.Wait() }()
	var stopped error
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-interrupted:
			stopped = errInterrupted
			if passOn {
				fmt.Fprintln(os.Stderr, "conformance: interrupted; what the specs made is being removed")
				_ = tests.Process.Signal(syscall.SIGTERM) // it may have ended
			}
		}
	}
	if err := convert.Wait(); err != nil {
		return fmt.Errorf("test2json: %w", err)
	}
	return stopped
}
