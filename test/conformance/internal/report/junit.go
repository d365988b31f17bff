package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The XML that CI systems read. encoding/xml escapes texts, and writes U+FFFD for what XML cannot hold.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		junitCounts
		Suites []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name string `xml:"name,attr"`
		junitCounts
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		seconds    float64
	}
	junitCounts struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitReason `xml:"failure"`
		Error   *junitReason `xml:"error"`
		Skipped *junitReason `xml:"skipped"`
		Output  string       `xml:"system-out,omitempty"`
	}
	junitReason struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes a suite for each area with a case for each spec. A listed spec that failed is a skipped case whose
// output is kept. A run that could not begin is one case with an error.
func (r Report) WriteJUnit(output io.Writer) error {
	all := junitSuites{Name: "conformance"}
	byArea := map[string]*junitSuite{}
	suiteOf := func(area string) *junitSuite {
		if byArea[area] == nil {
			byArea[area] = &junitSuite{Name: area, Properties: r.properties()}
			all.Suites = append(all.Suites, byArea[area])
		}
		return byArea[area]
	}
	var seconds float64
	for _, one := range r.Cases {
		suite := suiteOf(one.Area)
		written := junitCase{Class: one.Area, Name: one.Name, Time: timeOf(one.Seconds)}
		switch one.Outcome {
		case Failed:
			message := firstLine(one.Output)
			if message == "" {
				message = one.Reason
			}
			written.Failure = &junitReason{one.Reason, message, joined(one.Output, one.log)}
			suite.Failures++
			all.Failures++
		case Skipped:
			written.Skipped = &junitReason{Message: one.Reason}
			written.Output = joined(one.Output, one.log)
			suite.Skipped++
			all.junitCounts.Skipped++
		}
		suite.Cases = append(suite.Cases, written)
		suite.Tests++
		suite.seconds += one.Seconds
		all.Tests++
		seconds += one.Seconds
	}
	if len(r.Cases) == 0 {
		suite := suiteOf("suite")
		why := said(r.Package)
		failed := junitCase{Class: "suite", Name: "no test ran", Time: timeOf(0), Error: &junitReason{"broken", firstLine(why), why}}
		suite.Cases, suite.Tests, suite.Errors = []junitCase{failed}, 1, 1
		all.Tests, all.Errors = 1, 1
	}
	all.Time = timeOf(seconds)
	for _, suite := range all.Suites {
		suite.Time = timeOf(suite.seconds)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(output, xml.Header+string(text)+"\n")
	return err
}

func (r Report) properties() []junitProperty {
	all := []junitProperty{{"runtime", r.Runtime.Label}}
	if r.Runtime.Name != "" {
		all = append(all, junitProperty{"runtime_name", r.Runtime.Name})
	}
	if r.Runtime.Version != "" {
		all = append(all, junitProperty{"runtime_version", r.Runtime.Version})
	}
	return all
}

func timeOf(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func joined(output, log string) string {
	if log == "" {
		return output
	}
	return output + "\n" + log
}
