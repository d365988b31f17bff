package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/report"
)

const (
	good = `printf '\026=== RUN   TestGood\n\026--- PASS: TestGood (1.25s)\n\026PASS\n'`
	bad  = `printf '\026=== RUN   TestBad\n    a_test.go:1: no\n\026--- FAIL: TestBad (0.50s)\n\026FAIL\n'; exit 1`
	none = `printf 'testing: warning: no tests to run\nPASS\n'`
)

// tools is the directory of Go's own converter of test output.
var tools string

func TestMain(m *testing.M) {
	code := 1
	var err error
	// `go test` puts its own go first into PATH.
	if tools, err = os.MkdirTemp("", "conformance-tools-"); err == nil {
		var output []byte
		if output, err = exec.Command("go", "build", "-o", tools, "cmd/test2json").CombinedOutput(); err == nil {
			code = m.Run()
		}
		os.Stderr.Write(output)
		os.RemoveAll(tools)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// built makes a suite whose test binaries are scripts.
func built(t *testing.T, specs, old string) string {
	t.Helper()
	suite := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(suite, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(suite, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("images/base.tar", "", 0o644)
	write("skips.txt", "TestListed | runtime=* | - | known", 0o644)
	write("specs", "#!/bin/sh\n"+specs+"\n", 0o755)
	write("old-clients", "#!/bin/sh\necho \"$CONFORMANCE_ENDPOINT $CONFORMANCE_IMAGE\" >old.env\n"+old+"\n", 0o755)
	if err := os.Symlink(filepath.Join(tools, "test2json"), filepath.Join(suite, "test2json")); err != nil {
		t.Fatal(err)
	}
	return suite
}

func given(t *testing.T) options {
	t.Helper()
	return options{
		endpoint: "unix:///run/cri.sock", pattern: "TestG", format: "text",
		junit:   filepath.Join(t.TempDir(), "junit.xml"),
		runtime: report.Runtime{Name: "containerd", Version: "2.1.4"},
	}
}

func TestOutcomes(t *testing.T) {
	for _, one := range []struct {
		what, specs, old string
		want             string // "" for success
		table            string
	}{
		{"all pass", good, none, "", "all                                     1      0       0"},
		{"a spec fails", bad, good, failed.Error(), "all                                     1      1       0"},
		{"an old client fails", good, bad, failed.Error(), "all                                     1      1       0"},
		{"no spec of that name", none, none, `no spec has a name that "TestG" matches`, ""},
		{"specs that cannot begin", "echo 'conformance: no image' >&2; exit 1", none + "; exit 1", "no spec", "no image"},
	} {
		t.Run(one.what, func(t *testing.T) {
			options, suite := given(t), built(t, one.specs, one.old)
			var output bytes.Buffer
			err := run(suite, options, nil, &output)
			if one.want == "" && err != nil || one.want != "" && (err == nil || !strings.Contains(err.Error(), one.want)) {
				t.Errorf("the error is %v, not %q", err, one.want)
			}
			if isFailed := errors.Is(err, failed); isFailed != strings.Contains(one.what, "fails") {
				t.Errorf("a failure: %v", isFailed)
			}
			if !strings.Contains(output.String(), one.table) {
				t.Errorf("the table lacks %q: %s", one.table, output.String())
			}
			junit, err := os.ReadFile(options.junit)
			if err != nil || strings.Contains(one.specs, "1.25s") && !strings.Contains(string(junit), `name="TestGood" time="1.250"`) {
				t.Errorf("JUnit: %v\n%s", err, junit)
			}
		})
	}
}

func TestOldClientsGetEndpointAndImage(t *testing.T) {
	suite := built(t, good, good)
	if err := run(suite, given(t), nil, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(suite, "old.env"))
	if err != nil || !strings.HasPrefix(string(env), "unix:///run/cri.sock 127.0.0.1:") || !strings.HasSuffix(string(env), "/old:1\n") {
		t.Errorf("they got %q, %v", env, err)
	}
}

// Interrupted specs clean up, and the suite waits for them. The old clients do not begin.
func TestInterrupted(t *testing.T) {
	suite := built(t, "trap 'echo cleaned >cleaned; exit 1' TERM\necho >begun\nwhile :; do sleep 0.02; done", good)
	begun := filepath.Join(suite, "begun")
	if err := syscall.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	interrupted, ended := make(chan os.Signal, 1), make(chan error, 1)
	options := given(t)
	go func() { ended <- run(suite, options, interrupted, &bytes.Buffer{}) }()
	if _, err := os.ReadFile(begun); err != nil { // waits for the writer
		t.Fatal(err)
	}
	interrupted <- os.Interrupt
	select {
	case err := <-ended:
		if !errors.Is(err, errInterrupted) {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the suite did not end")
	}
	for file, there := range map[string]bool{filepath.Join(suite, "cleaned"): true, filepath.Join(suite, "old.env"): false, options.junit: false} {
		if _, err := os.Stat(file); (err == nil) != there {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestAJUnitFileThatCannotBeWrittenIsReportedAtOnce(t *testing.T) {
	options, suite := given(t), built(t, "echo >begun", none)
	options.junit = filepath.Join(t.TempDir(), "none", "junit.xml")
	if err := run(suite, options, nil, &bytes.Buffer{}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(suite, "begun")); err == nil {
		t.Error("the specs have run")
	}
}
