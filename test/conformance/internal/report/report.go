package report

import (
	"fmt"
	"regexp"
	"strings"
)

// Runtime is the tested runtime.
type Runtime struct {
	// Label is its name in the list of skips, such as an Engine's version or containerd-2.
	Label string `json:"label"`
	// Name and Version are those that the runtime reports, if they are known.
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

// Outcomes of a case.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped"
)

// Case is a spec and its result.
type Case struct {
	// Area is the file or the group of the spec.
	Area    string  `json:"area"`
	Name    string  `json:"name"`
	Outcome string  `json:"outcome"`
	Seconds float64 `json:"seconds"`
	// Reason says why the spec was skipped, or how a failure ended: `fail`, `unfinished`, `panicked`.
	Reason string `json:"reason,omitempty"`
	// Output is the output of a spec that did not pass.
	Output string `json:"output,omitempty"`
	log    string
}

// Report is the result of a run after applying the list of skips.
type Report struct {
	Runtime Runtime
	// Cases is empty if the run could not begin. Package then says why.
	Cases   []Case
	Package []string

	needless, retried []string
}

// Count says how many cases there are of each outcome.
type Count struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (c Count) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

func (c *Count) add(outcome string) {
	switch outcome {
	case Passed:
		c.Passed++
	case Failed:
		c.Failed++
	default:
		c.Skipped++
	}
}

// Judge applies the list of skips. areas has the area of each test, or of its parent test.
func Judge(runtime Runtime, results Results, areas map[string]string, skips []*Skip) Report {
	report := Report{Runtime: runtime, Package: results.Package, retried: results.retried}
	for _, test := range results.tests {
		area, named := areas[test.name]
		if !named {
			area = areas[strings.SplitN(test.name, "/", 2)[0]]
		}
		if area == "" {
			area = "other"
		}
		judged := Case{Area: area, Name: test.name, Seconds: test.seconds}
		entry := find(skips, test.name)
		own := said(test.output)
		switch {
		case test.outcome == "pass":
			judged.Outcome = Passed
			if entry != nil && entry.until != sometimes {
				report.needless = append(report.needless, fmt.Sprintf("  %s passes: %s", test.name, entry))
			}
		case entry != nil:
			judged.Outcome, judged.Reason, judged.Output, judged.log = Skipped, entry.String(), own, test.log
		case test.outcome == "skip":
			judged.Outcome, judged.Reason = Skipped, strings.TrimSpace(own)
		default:
			judged.Outcome, judged.Reason, judged.Output, judged.log = Failed, test.outcome, own, test.log
		}
		report.Cases = append(report.Cases, judged)
	}
	return report
}

// Count counts all cases. A run that could not begin counts as one failure.
func (r Report) Count() Count {
	var all Count
	for _, one := range r.Cases {
		all.add(one.Outcome)
	}
	if len(r.Cases) == 0 {
		all.Failed++
	}
	return all
}

var ofGoTest = regexp.MustCompile(`^(=== |\s*--- )`)

// said returns the test's own output, without the lines that `go test` adds.
func said(output []string) string {
	var lines []string
	for _, line := range output {
		if !ofGoTest.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}
