// Command report makes one table from the output of `go test -json` on its standard input: passed, failed, and skipped
// with the reason of each skip. It can also write JUnit's XML and JSON. Exits with 1 if a test failed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"dockbridge.test/conformance/internal/report"
)

func main() {
	suite := flag.String("suite", ".", "directory of the tests, for the areas' names")
	list := flag.String("skips", "", "list of skips")
	var runtime report.Runtime
	flag.StringVar(&runtime.Label, "runtime", "", "the tested runtime: an Engine's version, or containerd")
	flag.StringVar(&runtime.Name, "runtime-name", "", "the name that the runtime reports, for -junit and -json")
	flag.StringVar(&runtime.Version, "runtime-version", "", "the version that the runtime reports")
	ginkgo := flag.Bool("ginkgo", false, "read a JSON report of ginkgo's, as critest writes it")
	totals := flag.String("totals", "", "file for the line `N passed, N failed, N skipped`")
	junit := flag.String("junit", "", "file for JUnit's XML")
	json := flag.String("json", "", "file for the same as JSON")
	flag.Parse()

	read := func() (report.Report, error) { return readTests(*suite, *list, runtime) }
	if *ginkgo {
		read = func() (report.Report, error) { return readGinkgo(*list, runtime) }
	}
	if err := run(read, *totals, *junit, *json); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func readTests(suite, list string, runtime report.Runtime) (report.Report, error) {
	results, err := report.Read(os.Stdin)
	if err != nil {
		return report.Report{}, err
	}
	return judge(list, runtime, results, report.Areas(suite))
}

func readGinkgo(list string, runtime report.Runtime) (report.Report, error) {
	results, areas, err := report.ReadGinkgo(os.Stdin)
	if err != nil {
		return report.Report{}, err
	}
	return judge(list, runtime, results, areas)
}

func judge(list string, runtime report.Runtime, results report.Results, areas map[string]string) (report.Report, error) {
	skips, err := report.ReadSkips(list, report.Conditions(runtime.Label))
	if err != nil {
		return report.Report{}, err
	}
	return report.Judge(runtime, results, areas, skips), nil
}

func run(read func() (report.Report, error), totals, junit, json string) error {
	judged, err := read()
	if err != nil {
		return err
	}
	if err := judged.WriteTable(os.Stdout); err != nil {
		return err
	}
	count := judged.Count()
	if totals != "" {
		if err := os.WriteFile(totals, []byte(count.String()+"\n"), 0o644); err != nil {
			return err
		}
	}
	for file, write := range map[string]func(io.Writer) error{junit: judged.WriteJUnit, json: judged.WriteJSON} {
		if err := report.WriteFile(file, write); err != nil {
			return err
		}
	}
	if count.Failed > 0 {
		return fmt.Errorf("conformance on %s: %s", judged.Runtime.Label, count)
	}
	return nil
}
