// Command report makes one table of what `go test -json` says on its standard input: passed, failed, and skipped with
// the reason of each skip. Listed tests run like all others: one that fails is skipped with its reason, one that passes
// needs its entry no more. Exits 1 if a test failed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	suite := flag.String("suite", ".", "directory of the tests, for the areas' names")
	list := flag.String("skips", "", "list of skips")
	runtime := flag.String("runtime", "", "what runs: an Engine's version, or containerd")
	ginkgo := flag.Bool("ginkgo", false, "read a JSON report of ginkgo's, as critest writes it")
	totals := flag.String("totals", "", "file for the line `N passed, N failed, N skipped`")
	flag.Parse()

	skips, err := readSkips(*list, conditions(*runtime))
	if err == nil {
		var results results
		var names map[string]string
		if *ginkgo {
			results, names, err = readGinkgo(os.Stdin)
		} else {
			results, err = read(os.Stdin)
			names = areas(*suite)
		}
		if err == nil {
			err = results.report(*runtime, names, skips, *totals)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// result is one test's, a leaf's: what has subtests counts by them.
type result struct {
	name, outcome string
	output        []string
}

type results struct {
	tests []result
	// retried has a line for each test that passed, but not at once.
	retried []string
	// broken says what befell the package as a whole: a crash, a failed build.
	broken []string
}

func read(input io.Reader) (results, error) {
	outputs, outcomes := map[string][]string{}, map[string]string{}
	var all results
	decoder := json.NewDecoder(input)
	for {
		var event struct{ Action, Package, Test, Output string }
		if err := decoder.Decode(&event); err == io.EOF {
			break
		} else if err != nil {
			return all, err
		}
		switch event.Action {
		case "output", "build-output":
			outputs[event.Test] = append(outputs[event.Test], event.Output)
		case "pass", "fail", "skip":
			outcomes[event.Test] = event.Action
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
			all.tests = append(all.tests, result{name, outcomes[name], outputs[name]})
		}
	}
	if len(all.tests) == 0 {
		all.broken = outputs[""]
	}
	return all, nil
}

// areas maps tests to the files that hold them.
func areas(suite string) map[string]string {
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

type count struct{ passed, failed, skipped int }

func (c count) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

func (r results) report(runtime string, areas map[string]string, skips []*skip, totals string) error {
	var all count
	byArea := map[string]*count{}
	var skipped, failed, needless []string
	for _, test := range r.tests {
		area, named := areas[test.name]
		if !named {
			area = areas[strings.SplitN(test.name, "/", 2)[0]]
		}
		if byArea[area] == nil {
			byArea[area] = &count{}
		}
		entry := find(skips, test.name)
		switch {
		case test.outcome == "pass":
			all.passed++
			byArea[area].passed++
			if entry != nil && entry.until != sometimes {
				needless = append(needless, fmt.Sprintf("  %s passes: %s", test.name, entry))
			}
		case entry != nil:
			all.skipped++
			byArea[area].skipped++
			skipped = append(skipped, fmt.Sprintf("  %s: %s", test.name, entry))
		case test.outcome == "skip":
			all.skipped++
			byArea[area].skipped++
			skipped = append(skipped, fmt.Sprintf("  %s: %s", test.name, strings.TrimSpace(said(test.output))))
		default:
			all.failed++
			byArea[area].failed++
			failed = append(failed, fmt.Sprintf("  %s (%s)\n%s", test.name, test.outcome, said(test.output)))
		}
	}
	if len(r.tests) == 0 {
		all.failed++
		failed = append(failed, "  no test ran\n"+said(r.broken))
	}
	list("Skipped", skipped)
	list("Entries of the list that are needed no more", needless)
	list("Passed, but not at the first attempt", r.retried)
	list("Failed", failed)
	fmt.Printf("%-34s %6s %6s %7s\n", "on "+runtime, "passed", "failed", "skipped")
	for _, area := range slices.Sorted(maps.Keys(byArea)) {
		fmt.Printf("%-34s %6d %6d %7d\n", area, byArea[area].passed, byArea[area].failed, byArea[area].skipped)
	}
	fmt.Printf("%-34s %6d %6d %7d\n", "all", all.passed, all.failed, all.skipped)
	if totals != "" {
		if err := os.WriteFile(totals, []byte(all.String()+"\n"), 0o644); err != nil {
			return err
		}
	}
	if all.failed > 0 {
		return fmt.Errorf("conformance on %s: %s", runtime, all)
	}
	return nil
}

func list(title string, lines []string) {
	if len(lines) > 0 {
		fmt.Printf("%s:\n%s\n\n", title, strings.Join(lines, "\n"))
	}
}

// said is what a test itself wrote, without what `go test` adds.
func said(output []string) string {
	var lines []string
	for _, line := range output {
		if !regexp.MustCompile(`^(=== |\s*--- )`).MatchString(line) {
			lines = append(lines, "    "+strings.TrimSpace(line))
		}
	}
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
