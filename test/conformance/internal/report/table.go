package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// longest is the number of last lines of a test's output in the table.
const longest = 30

// WriteTable writes the reasons of skips and failures, and a table by area, for people.
func (r Report) WriteTable(output io.Writer) error {
	byArea := map[string]*Count{}
	var skipped, failed []string
	for _, one := range r.Cases {
		if byArea[one.Area] == nil {
			byArea[one.Area] = &Count{}
		}
		byArea[one.Area].add(one.Outcome)
		switch one.Outcome {
		case Skipped:
			skipped = append(skipped, fmt.Sprintf("  %s: %s", one.Name, one.Reason))
		case Failed:
			failed = append(failed, fmt.Sprintf("  %s (%s)\n%s", one.Name, one.Reason, shown(one.Output)))
		}
	}
	if len(r.Cases) == 0 {
		failed = append(failed, "  no test ran\n"+shown(said(r.Package)))
	}
	var text strings.Builder
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&text, "%s:\n%s\n\n", title, strings.Join(lines, "\n"))
		}
	}
	list("Skipped", skipped)
	list("Entries of the list that are no longer needed", r.needless)
	list("Passed, but not at the first attempt", r.retried)
	list("Failed", failed)
	row := func(title string, count Count) {
		fmt.Fprintf(&text, "%-34s %6d %6d %7d\n", title, count.Passed, count.Failed, count.Skipped)
	}
	fmt.Fprintf(&text, "%-34s %6s %6s %7s\n", "on "+r.Runtime.Label, "passed", "failed", "skipped")
	for _, area := range slices.Sorted(maps.Keys(byArea)) {
		row(area, *byArea[area])
	}
	row("all", r.Count())
	_, err := io.WriteString(output, text.String())
	return err
}

func shown(output string) string {
	lines := strings.Split(output, "\n")
	lines = lines[max(0, len(lines)-longest):]
	return "    " + strings.Join(lines, "\n    ")
}
