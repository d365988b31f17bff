package report

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
)

// sometimes stands in the field "lifted by" of an entry whose test passes now and then.
const sometimes = "sometimes"

// Skip is one line of the list of skips: `test | where | lifted by | why`. A `*` in a test's name matches anything,
// including a slash.
type Skip struct {
	test, until, why string
}

func (s *Skip) String() string {
	switch s.until {
	case "-":
		return s.why
	case sometimes:
		return s.why + " (sometimes)"
	}
	return s.why + " (lifted by " + s.until + ")"
}

// ReadSkips returns the entries for which one of the conditions is true. An empty file name means no entries.
func ReadSkips(file string, conditions []string) ([]*Skip, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var skips []*Skip
	for number, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 4 {
			return nil, fmt.Errorf("%s:%d: four fields are wanted: test | where | lifted by | why", file, number+1)
		}
		for index := range fields {
			fields[index] = strings.TrimSpace(fields[index])
		}
		if holds(fields[1], conditions) {
			skips = append(skips, &Skip{test: fields[0], until: fields[2], why: fields[3]})
		}
	}
	return skips, nil
}

func holds(where string, conditions []string) bool {
	for _, pattern := range strings.Fields(where) {
		for _, condition := range conditions {
			if match, err := path.Match(pattern, condition); err == nil && match {
				return true
			}
		}
	}
	return false
}

// LabelOf returns what the list of skips calls the runtime with this name and version: an Engine's version up to the
// minor number, `containerd` up to containerd 1, and `containerd` with the major number from 2 on. Others have their name
// and minor version, such as cri-o-1.34.
func LabelOf(name, version string) string {
	number := regexp.MustCompile(`^v?((\d+)(\.\d+)?)`).FindStringSubmatch(version)
	switch {
	case number == nil:
		return name
	case name == "docker":
		return number[1]
	case name == "containerd" && (number[2] == "0" || number[2] == "1"):
		return name
	case name == "containerd":
		return name + "-" + number[2]
	}
	return name + "-" + number[1]
}

// Conditions are the properties of this machine and this run.
func Conditions(runtime string) []string {
	all := []string{"runtime=" + runtime}
	if flag, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err != nil || flag[0] != 'Y' {
		all = append(all, "no-apparmor")
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		all = append(all, "no-selinux")
	}
	return all
}

func find(skips []*Skip, test string) *Skip {
	for _, entry := range skips {
		if match, err := path.Match(strings.ReplaceAll(entry.test, "/", "."), strings.ReplaceAll(test, "/", ".")); err == nil && match {
			return entry
		}
	}
	return nil
}
