package kubelet

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/exec"
)

// streams runs exec, attach and port-forward through the kubelet, as the API server does.
func streams(t *testing.T) {
	asking := walk.container("asking", "while read -r line; do echo it reads $line; done")
	asking.Stdin = true
	p := walk.create(t, "streams", corev1.PodSpec{Containers: []corev1.Container{asking}})
	p.ready()
	for _, transport := range []node.Transport{node.SPDY, node.WebSocket} {
		t.Run(string(transport), func(t *testing.T) {
			session := func(what string, terminal node.Terminal, command ...string) (node.Output, error) {
				query := url.Values{"command": command, "output": {"1"}}
				if terminal.Stdin != nil {
					query.Set("input", "1")
				}
				if terminal.Tty {
					query.Set("tty", "1")
				} else {
					query.Set("error", "1")
				}
				return terminal.Stream(t.Context(), transport, func() (string, error) {
					return p.address(what, "asking", query), nil
				})
			}
			output, err := session("exec", node.Terminal{Stdin: strings.NewReader("to the command")}, "sh", "-c", "cat; echo beside >&2; exit 7")
			var exit exec.CodeExitError
			check.True(t, errors.As(err, &exit) && exit.Code == 7, "the exit code is in %v", err)
			check.Equal(t, "stdout", output.Stdout, "to the command")
			check.Equal(t, "stderr", output.Stderr, "beside\n")

			output, err = session("exec", node.Terminal{Tty: true}, "tty")
			check.NoError(t, err, "exec on a terminal")
			check.Contains(t, "stdout", output.Stdout, "/dev/pts/")
		})
	}
}
