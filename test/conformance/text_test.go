package conformance

import "strings"

// The text of a CRI log line is its fourth word and the rest.
func logText(line string) string {
	parts := strings.SplitN(line, " ", 4)
	return parts[len(parts)-1]
}

func firstLine(log string) string {
	line, _, _ := strings.Cut(log, "\n")
	return logText(line)
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	return logText(lines[len(lines)-1])
}
