// Command suite runs the specs and the old clients that build.sh has put next to it against a runtime, and reports. `dockbridge
// cri conformance` starts it (docs/harness.md). Exit code 0: passed; 1: a spec failed; 2: it could not run, no spec matches
// the pattern, or it was interrupted.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"dockbridge.test/conformance/internal/report"
)

// Time limits in the format of `go test`. Most specs wait, so more of them run at a time than there are processors.
const (
	specsTimeout = "30m"
	oldTimeout   = "5m"
	parallel     = "8"
)

// failed means that the run itself succeeded, but specs failed.
var failed = errors.New("a spec failed")

type options struct {
	endpoint, pattern, handler, registry, skips string
	junit, format                               string
	runtime                                     report.Runtime
}

func main() {
	var given options
	flag.StringVar(&given.endpoint, "endpoint", "", "the runtime's socket, unix:///…")
	flag.StringVar(&given.runtime.Name, "runtime-name", "", "what the runtime answers to Version")
	flag.StringVar(&given.runtime.Version, "runtime-version", "", "what the runtime answers to Version")
	flag.StringVar(&given.pattern, "run", "", "only specs whose name this regular expression matches")
	flag.StringVar(&given.handler, "handler", "", "the runtime handler of all pods")
	flag.StringVar(&given.registry, "registry", "127.0.0.1:0", "address of the suite's registry")
	flag.StringVar(&given.skips, "skips", "", "one more list of skips")
	flag.StringVar(&given.junit, "junit", "", "file for JUnit's XML")
	flag.StringVar(&given.format, "o", "text", "text or json")
	flag.Parse()

	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	program, err := os.Executable()
	if err == nil {
		err = run(filepath.Dir(program), given, interrupted, os.Stdout)
	}
	if errors.Is(err, failed) {
		os.Exit(1)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
}

func run(suite string, given options, interrupted <-chan os.Signal, output writer) error {
	given.runtime.Label = report.LabelOf(given.runtime.Name, given.runtime.Version)
	skips, err := readSkips(suite, given)
	if err != nil {
		return err
	}
	if err := clear(given.junit); err != nil {
		return err
	}
	var events bytes.Buffer
	if err := runSpecs(suite, given, &events, interrupted); err != nil {
		return err
	}
	if err := runOld(suite, given, &events, interrupted); err != nil {
		return err
	}
	results, err := report.Read(&events)
	if err != nil {
		return err
	}
	return tell(given, report.Judge(given.runtime, results, report.Areas(suite), skips), output)
}

// clear removes an earlier report, so that nobody mistakes it for this run's. If the file cannot be written, it fails now
// and not after minutes.
func clear(file string) error {
	if err := report.WriteFile(file, func(writer) error { return nil }); err != nil || file == "" {
		return err
	}
	return os.Remove(file)
}

func readSkips(suite string, given options) ([]*report.Skip, error) {
	conditions := report.Conditions(given.runtime.Label)
	var all []*report.Skip
	// The user's list comes first, because the first matching entry counts.
	for _, file := range []string{given.skips, filepath.Join(suite, "skips.txt")} {
		skips, err := report.ReadSkips(file, conditions)
		if err != nil {
			return nil, err
		}
		all = append(all, skips...)
	}
	return all, nil
}

func tell(given options, judged report.Report, output writer) error {
	for _, line := range judged.Package {
		if strings.HasPrefix(line, "conformance: ") {
			fmt.Fprint(os.Stderr, line)
		}
	}
	if err := report.WriteFile(given.junit, judged.WriteJUnit); err != nil {
		return err
	}
	write := judged.WriteTable
	if given.format == "json" {
		write = judged.WriteJSON
	}
	if err := write(output); err != nil {
		return err
	}
	switch said := strings.Join(judged.Package, ""); {
	case len(judged.Cases) == 0 && strings.Contains(said, "no tests to run"):
		return fmt.Errorf("no spec has a name that %q matches", given.pattern)
	case len(judged.Cases) == 0:
		return errors.New("no spec ran, because the suite could not begin")
	case judged.Count().Failed > 0:
		return failed
	}
	return nil
}
