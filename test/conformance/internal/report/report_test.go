package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goEvents = `
{"Action":"run","Test":"TestGood"}
{"Action":"output","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"pass","Test":"TestGood","Elapsed":1.5}
{"Action":"run","Test":"TestBad"}
{"Action":"run","Test":"TestBad/of <two> & \"more\""}
{"Action":"output","Test":"TestBad/of <two> & \"more\"","Output":"    a_test.go:7: exit code is \u001b[1m3\u0000\ufffe, not 0\n"}
{"Action":"output","Test":"TestBad/of <two> & \"more\"","Output":"    ]]> second <line>\n"}
{"Action":"fail","Test":"TestBad/of <two> & \"more\"","Elapsed":0.25}
{"Action":"fail","Test":"TestBad","Elapsed":0.3}
{"Action":"run","Test":"TestListed"}
{"Action":"output","Test":"TestListed","Output":"    b_test.go:9: no such field\n"}
{"Action":"fail","Test":"TestListed","Elapsed":0}
{"Action":"run","Test":"TestSkipsItself"}
{"Action":"output","Test":"TestSkipsItself","Output":"    b_test.go:3: no cgroup v2\n"}
{"Action":"skip","Test":"TestSkipsItself","Elapsed":0}
{"Action":"run","Test":"TestCutOff"}
{"Action":"fail","Elapsed":2}
`

var containerd = Runtime{Label: "containerd-2", Name: "containerd", Version: "v2.1.4"}

// parsed is what a reader of JUnit's XML finds.
type parsed struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Name       string `xml:"name,attr"`
		Tests      int    `xml:"tests,attr"`
		Failures   int    `xml:"failures,attr"`
		Time       string `xml:"time,attr"`
		Properties []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"properties>property"`
		Cases []parsedCase `xml:"testcase"`
	} `xml:"testsuite"`
}

type parsedCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *parsedReason `xml:"failure"`
	Error   *parsedReason `xml:"error"`
	Skipped *parsedReason `xml:"skipped"`
	Output  string        `xml:"system-out"`
}

type parsedReason struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func judged(t *testing.T) Report {
	t.Helper()
	suite := t.TempDir()
	write(t, filepath.Join(suite, "pod_life_test.go"), "func TestGood(t *testing.T)\nfunc TestBad(t *testing.T)\n")
	list := filepath.Join(suite, "skips.txt")
	write(t, list, "# why\nTestListed | runtime=containerd* | containerd 2.2 | does not know the <field>\nTestGood | runtime=containerd-2 | - | was bad\nTestBad* | runtime=cri-o* | - | is another's\n")
	skips, err := ReadSkips(list, Conditions(containerd.Label))
	ok(t, err)
	results, err := Read(strings.NewReader(goEvents))
	ok(t, err)
	return Judge(containerd, results, Areas(suite), skips)
}

func TestJUnitOfGoTests(t *testing.T) {
	all, text := readJUnit(t, judged(t))
	equal(t, "counts", []int{all.Tests, all.Failures, all.Errors, all.Skipped}, []int{5, 2, 0, 2})
	equal(t, "suites", len(all.Suites), 2)
	cases := map[string]parsedCase{}
	for _, suite := range all.Suites {
		for _, one := range suite.Cases {
			equal(t, "class of "+one.Name, one.Class, suite.Name)
			cases[one.Name] = one
		}
		equal(t, "properties", len(suite.Properties), 3)
		equal(t, "name", suite.Properties[1].Name+"="+suite.Properties[1].Value, "runtime_name=containerd")
		equal(t, "version", suite.Properties[2].Name+"="+suite.Properties[2].Value, "runtime_version=v2.1.4")
	}
	good := cases["TestGood"]
	equal(t, "area", good.Class, "pod life")
	equal(t, "time", good.Time, "1.500")
	equal(t, "a case that passed", good.Failure == nil && good.Skipped == nil && good.Error == nil, true)

	bad := cases[`TestBad/of <two> & "more"`]
	equal(t, "area of a subtest", bad.Class, "pod life")
	equal(t, "message", bad.Failure.Message, "a_test.go:7: exit code is \ufffd[1m3\ufffd\ufffd, not 0")
	equal(t, "text", bad.Failure.Text, bad.Failure.Message+"\n]]> second <line>")
	equal(t, "control characters", strings.ContainsAny(text, "\x00\x1b\ufffe"), false)

	listed := cases["TestListed"]
	equal(t, "reason", listed.Skipped.Message, "does not know the <field> (lifted by containerd 2.2)")
	equal(t, "output", listed.Output, "b_test.go:9: no such field")
	equal(t, "its own reason", cases["TestSkipsItself"].Skipped.Message, "b_test.go:3: no cgroup v2")
	equal(t, "a test without an end", cases["TestCutOff"].Failure.Message, "unfinished")
	equal(t, "a test without a file", cases["TestCutOff"].Class, "other")
}

func TestJUnitOfARunThatCouldNotBegin(t *testing.T) {
	results, err := Read(strings.NewReader(`{"Action":"output","Output":"conformance: PullImage: connection refused\n"}`))
	ok(t, err)
	judged := Judge(containerd, results, nil, nil)
	all, _ := readJUnit(t, judged)
	equal(t, "counts", []int{all.Tests, all.Failures, all.Errors, all.Skipped}, []int{1, 0, 1, 0})
	equal(t, "error", all.Suites[0].Cases[0].Error.Message, "conformance: PullImage: connection refused")
	equal(t, "count", judged.Count(), Count{Failed: 1})
}

func TestJUnitOfGinkgo(t *testing.T) {
	const input = `[{"SpecReports":[
	{"LeafNodeType":"BeforeSuite","State":"passed"},
	{"ContainerHierarchyTexts":["[k8s.io] Security Context","bucket"],"LeafNodeType":"It","LeafNodeText":"runs","State":"failed","RunTime":1250000000,
	 "CapturedGinkgoWriterOutput":"STEP: \u001b[1mcreate","Failure":{"Message":"Expected\n  <int>: 1","Location":{"FileName":"security.go","LineNumber":12}}},
	{"ContainerHierarchyTexts":["[k8s.io] Networking"],"LeafNodeType":"It","LeafNodeText":"waits","State":"skipped","Failure":{"Message":""}},
	{"ContainerHierarchyTexts":["[k8s.io] Networking"],"LeafNodeType":"It","LeafNodeText":"crashes","State":"panicked","Failure":{"Message":""}}]}]`
	results, areas, err := ReadGinkgo(strings.NewReader(input))
	ok(t, err)
	all, _ := readJUnit(t, Judge(containerd, results, areas, nil))
	equal(t, "counts", []int{all.Tests, all.Failures, all.Errors, all.Skipped}, []int{3, 2, 0, 1})
	failed := all.Suites[0].Cases[0]
	equal(t, "suite", all.Suites[0].Name, "Security Context")
	equal(t, "name", failed.Name, "[k8s.io] Security Context bucket runs")
	equal(t, "time", failed.Time+" "+all.Suites[0].Time, "1.250 1.250")
	equal(t, "message", failed.Failure.Message, "Expected")
	equal(t, "text", failed.Failure.Text, "Expected\n  <int>: 1\nsecurity.go:12\nSTEP: \ufffd[1mcreate")
	equal(t, "skipped", all.Suites[1].Cases[0].Skipped.Message, "left out by the command line")
	equal(t, "panicked", all.Suites[1].Cases[1].Failure.Type, "panicked")
}

func TestJSONHasTheSame(t *testing.T) {
	var output bytes.Buffer
	ok(t, judged(t).WriteJSON(&output))
	var all struct {
		Runtime                 Runtime
		Passed, Failed, Skipped int
		Cases                   []Case
	}
	ok(t, json.Unmarshal(output.Bytes(), &all))
	equal(t, "runtime", all.Runtime, containerd)
	equal(t, "counts", []int{all.Passed, all.Failed, all.Skipped, len(all.Cases)}, []int{1, 2, 2, 5})
}

func TestTable(t *testing.T) {
	var output bytes.Buffer
	ok(t, judged(t).WriteTable(&output))
	for _, part := range []string{
		"Skipped:\n  TestListed: does not know the <field> (lifted by containerd 2.2)\n  TestSkipsItself: b_test.go:3: no cgroup v2\n",
		"no longer needed:\n  TestGood passes: was bad\n",
		"  TestCutOff (unfinished)\n",
		"on containerd-2                    passed failed skipped\n",
		"all                                     1      2       2\n",
	} {
		equal(t, part, strings.Contains(output.String(), part), true)
	}
}

func TestLabelOf(t *testing.T) {
	for told, label := range map[[2]string]string{
		{"docker", "20.10.24+dfsg1"}: "20.10", {"docker", "29.8.1"}: "29.8",
		{"containerd", "v2.1.4"}: "containerd-2", {"containerd", "2.2.0"}: "containerd-2",
		{"containerd", "1.6.20~ds1"}: "containerd", {"cri-o", "1.34.2"}: "cri-o-1.34", {"youki", ""}: "youki",
	} {
		equal(t, told[0]+" "+told[1], LabelOf(told[0], told[1]), label)
	}
}

func TestAFileThatCannotBeMade(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), "none", "junit.xml"), func(io.Writer) error { return nil })
	equal(t, "error", err != nil && strings.Contains(err.Error(), "junit.xml"), true)
}

func readJUnit(t *testing.T, report Report) (parsed, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "junit.xml")
	ok(t, WriteFile(file, report.WriteJUnit))
	text, err := os.ReadFile(file)
	ok(t, err)
	var all parsed
	ok(t, xml.Unmarshal(text, &all))
	return all, string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	ok(t, os.WriteFile(file, []byte(text), 0o644))
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("%s is %s, not %s", what, g, w)
	}
}
