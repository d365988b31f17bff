package main

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// sometimes, as what lifts an entry, is said of a test that passes by chance.
const sometimes = "sometimes"

// skip is one line of the list: `test | where | lifted by | why`. A `*` in a test's name stands for anything, a
// slash too.
type skip struct {
	test, until, why string
}

func (s *skip) String() string {
	switch s.until {
	case "-":
		return s.why
	case sometimes:
		return s.why + " (sometimes)"
	}
	return s.why + " (lifted by " + s.until + ")"
}

// readSkips keeps the entries that hold where one of the conditions does.
func readSkips(file string, conditions []string) ([]*skip, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var skips []*skip
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
			skips = append(skips, &skip{test: fields[0], until: fields[2], why: fields[3]})
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

// conditions are what is true of this machine and this run.
func conditions(runtime string) []string {
	all := []string{"runtime=" + runtime}
	if flag, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err != nil || flag[0] != 'Y' {
		all = append(all, "no-apparmor")
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		all = append(all, "no-selinux")
	}
	return all
}

func find(skips []*skip, test string) *skip {
	for _, entry := range skips {
		if match, err := path.Match(strings.ReplaceAll(entry.test, "/", "."), strings.ReplaceAll(test, "/", ".")); err == nil && match {
			return entry
		}
	}
	return nil
}
