// Command serve runs a command together with the suite's registry: `serve [flags] COMMAND…`. The old clients and the
// upstream suite use it for their images. The command finds the registry's `address:port` in
// CONFORMANCE_IMAGES.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"dockbridge.test/conformance/internal/registry"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	suite := flag.String("suite", ".", "directory of the suite")
	flag.Parse()
	if err := serve(*suite, *listen, flag.Args()); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve(suite, listen string, command []string) error {
	if len(command) == 0 {
		return errors.New("no command is given: serve [flags] COMMAND…")
	}
	images, err := registry.Start(suite, listen)
	if err != nil {
		return err
	}
	images.Publish(image(images, "base"), "base", "1")
	publishUpstream(images)
	run := exec.Command(command[0], command[1:]...)
	run.Env = append(os.Environ(), "CONFORMANCE_IMAGES="+images.Host)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
	return run.Run()
}

func image(images *registry.Registry, marker string, command ...string) registry.Image {
	return registry.Image{Layers: [][]byte{images.Base}, Marker: marker, Cmd: append([]string{"sh"}, command...)}
}
