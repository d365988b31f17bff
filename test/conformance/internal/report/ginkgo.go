package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ReadGinkgo reads critest's -ginkgo.json-report, whose areas are the outermost containers of the specs.
func ReadGinkgo(input io.Reader) (Results, map[string]string, error) {
	var suites []struct {
		SpecReports []struct {
			ContainerHierarchyTexts    []string
			LeafNodeType, LeafNodeText string
			State                      string
			NumAttempts                int
			RunTime                    time.Duration
			CapturedGinkgoWriterOutput string
			Failure                    struct {
				Message  string
				Location struct {
					FileName   string
					LineNumber int
				}
			}
		}
	}
	var all Results
	areas := map[string]string{}
	if err := json.NewDecoder(input).Decode(&suites); err != nil {
		return all, nil, err
	}
	if len(suites) == 0 {
		return all, nil, errors.New("no suite in the report")
	}
	for _, suite := range suites {
		for _, spec := range suite.SpecReports {
			if spec.LeafNodeType != "It" {
				continue
			}
			outcomes := map[string]string{"passed": "pass", "skipped": "skip"}
			outcome, known := outcomes[spec.State]
			if !known {
				outcome = spec.State
			}
			path := append(spec.ContainerHierarchyTexts, spec.LeafNodeText)
			area := strings.TrimPrefix(path[0], "[k8s.io] ")
			name := strings.Join(path, " ")
			areas[name] = area
			if outcome == "pass" && spec.NumAttempts > 1 {
				all.retried = append(all.retried, fmt.Sprintf("  %s: attempt %d", name, spec.NumAttempts))
			}
			message := spec.Failure.Message
			if outcome == "skip" && message == "" {
				message = "left out by the command line"
			}
			test := result{name: name, outcome: outcome, output: []string{message}, seconds: spec.RunTime.Seconds()}
			if outcome != "pass" && outcome != "skip" {
				place := spec.Failure.Location
				test.log = fmt.Sprintf("%s:%d\n%s", place.FileName, place.LineNumber, spec.CapturedGinkgoWriterOutput)
			}
			all.tests = append(all.tests, test)
		}
	}
	return all, areas, nil
}
