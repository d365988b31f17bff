// Package report makes a table, JUnit's XML and JSON from the output of `go test -json` or ginkgo. Tests in the list of
// skips run like all others: a failure counts as skipped with its reason, and a success means that its entry is no longer needed.
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

// result is the result of one test without subtests. Other tests are counted by their subtests.
type result struct {
	name, outcome string
	output        []string
	// log is output that only reports for machines have room for.
	log     string
	seconds float64
}

// Results are the results of a run, in no particular order.
type Results struct {
	tests []result
	// retried has a line for each test that passed only in a later attempt.
	retried []string
	// Package has the lines that belong to no test, such as the reason why a build failed or no test could begin.
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
			if character == '/' { // the name of a subtest may contain one
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

// Areas maps tests to the files in the suite's directory that contain them.
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
