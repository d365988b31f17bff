// Package report makes a table, JUnit's XML and JSON of what `go test -json` or ginkgo tell of a run. Listed tests run
// like all others: one that fails is skipped with its reason, one that passes needs its entry no more.
package report

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// result is one test's, a leaf's: what has subtests counts by them.
type result struct {
	name, outcome string
	output        []string
	// log is what only a machine's report has room for.
	log     string
	seconds float64
}

// Results are what a run told, in no particular order.
type Results struct {
	tests []result
	// retried has a line for each test that passed, but not at once.
	retried []string
	// Package has the lines that belong to no test: why a build failed, or why no test could begin.
	Package []string
}

// Read reads the events of `go test -json`, or of test2json, of one or more packages.
func Read(input io.Reader) (Results, error) {
	outputs, outcomes, seconds := map[string][]string{}, map[string]string{}, map[string]float64{}
	var all Results
	decoder := json.NewDecoder(input)
	for {
		var event struct {
			Action, Package, Test, Output string
			Elapsed                       float64
		}
		if err := decoder.Decode(&event); err == io.EOF {
			break
		} else if err != nil {
			return all, err
		}
		switch event.Action {
		case "output", "build-output":
			outputs[event.Test] = append(outputs[event.Test], event.Output)
		case "pass", "fail", "skip":
			outcomes[event.Test], seconds[event.Test] = event.Action, event.Elapsed
		case "run":
			outcomes[event.Test] = "unfinished"
		}
	}
	parents := map[string]bool{}
	for name := range outcomes {
		for index, character := range name {
			if character == '/' { // a subtest's own name may have one
				parents[name[:index]] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		if name != "" && !parents[name] {
			test := result{name: name, outcome: outcomes[name], output: outputs[name], seconds: seconds[name]}
			all.tests = append(all.tests, test)
		}
	}
	all.Package = outputs[""]
	return all, nil
}

// Areas maps tests to the files of the suite's directory that hold them.
func Areas(suite string) map[string]string {
	found := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(suite, "*_test.go")) // the pattern is right
	old, _ := filepath.Glob(filepath.Join(suite, "old", "*_test.go"))
	for _, file := range append(files, old...) {
		text, _ := os.ReadFile(file) // without it the area is unknown
		for _, test := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			area := strings.TrimSuffix(filepath.Base(file), "_test.go")
			if filepath.Base(filepath.Dir(file)) == "old" {
				area = "old clients"
			}
			found[string(test[1])] = strings.ReplaceAll(area, "_", " ")
		}
	}
	return found
}
