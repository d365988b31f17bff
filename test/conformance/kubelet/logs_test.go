package kubelet

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	corev1 "k8s.io/api/core/v1"
)

// logsAndTheirRotation writes several times the size at which the kubelet rotates. No line may be lost or repeated.
func logsAndTheirRotation(t *testing.T) {
	const bursts, lines = 8, 1000
	p := walk.create(t, "logs", corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{walk.container("writer", fmt.Sprintf(`
			echo to stderr >&2
			i=0
			while [ $i -lt %d ]; do
				echo "line $i of the log, which is long enough for its purpose"
				i=$((i + 1))
				# Each burst is in a file that is rotated separately.
				if [ $((i %% %d)) = 0 ]; then until [ -e /shared/$i ]; do sleep 0.2; done; fi
			done`, bursts*lines, lines))},
	})
	p.awaitContainer("writer", "runs", func(status corev1.ContainerStatus) bool { return status.State.Running != nil })
	directory := p.logDirectory(p.ready(), "writer")
	for burst := 1; burst < bursts; burst++ {
		eventually(t, "the log is rotated", func() (bool, string) {
			files := logFiles(t, directory)
			return len(files) > burst, fmt.Sprintf("after %d bursts there are %q", burst, files)
		})
		p.tell(fmt.Sprint(burst * lines))
	}
	p.tell(fmt.Sprint(bursts * lines))
	p.awaitContainer("writer", "has ended", ended)

	text, err := p.log("writer", "tailLines=1")
	check.NoError(t, err, "the log by the kubelet")
	check.Equal(t, "the log by the kubelet", text,
		fmt.Sprintf("line %d of the log, which is long enough for its purpose\n", bursts*lines-1))
	// A file that the kubelet is compressing exists twice.
	eventually(t, "the log is whole", func() (bool, string) { return isWhole(t, directory, bursts*lines) })
}

// logFiles returns the log files of one container, the oldest first.
func logFiles(t testing.TB, directory string) []string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	check.NoError(t, err, "log directory")
	var files []string
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".tmp") {
			files = append(files, entry.Name())
		}
	}
	// `0.log` is the newest. All others have a time in their names.
	slices.SortFunc(files, func(a, b string) int {
		if a == "0.log" || b == "0.log" {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return files
}

func isWhole(t testing.TB, directory string, lines int) (bool, string) {
	t.Helper()
	count := 0
	text, err := wholeLog(t, directory)
	if err != nil {
		return false, err.Error()
	}
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		check.True(t, len(fields) == 4 && fields[2] == "F", "the log has %q", line)
		want := fmt.Sprintf("line %d of the log, which is long enough for its purpose", count)
		switch {
		case fields[1] == "stderr":
			check.Equal(t, "the line on stderr", fields[3], "to stderr")
		case fields[3] != want:
			return false, fmt.Sprintf("there is %q instead of %q", fields[3], want)
		default:
			count++
		}
	}
	return count == lines, fmt.Sprintf("%d of %d lines are there", count, lines)
}

func wholeLog(t testing.TB, directory string) (string, error) {
	t.Helper()
	var whole strings.Builder
	for _, file := range logFiles(t, directory) {
		text, err := read(filepath.Join(directory, file))
		if err != nil {
			return "", err
		}
		whole.WriteString(text)
	}
	return whole.String(), nil
}

// read returns the contents of a file, and decompresses it if necessary.
func read(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var content io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if content, err = gzip.NewReader(file); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(content)
	return string(text), err
}
