package conformance

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// overEach runs a spec over each transport except OldWebSocket, which cannot close stdin.
func overEach(t *testing.T, spec func(*testing.T, node.Transport)) {
	for _, transport := range []node.Transport{node.SPDY, node.WebSocket, node.Fallback} {
		t.Run(string(transport), func(t *testing.T) { spec(t, transport) })
	}
}

func TestExec(t *testing.T) {
	overEach(t, execHello)
	t.Run(string(node.OldWebSocket), func(t *testing.T) { execHello(t, node.OldWebSocket) })
}

func execHello(t *testing.T, transport node.Transport) {
	container := env.New(t).Pod().Start()
	output, err := container.Session(withTimeout(t, check.Patience), transport, node.Terminal{}, "echo", "-n", "hello")
	check.NoError(t, err, "exec")
	check.Equal(t, "output", output, node.Output{Stdout: "hello"})
}

func TestExecReturnsTheExitCode(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		container := env.New(t).Pod().Start()
		output, err := container.Session(withTimeout(t, check.Patience), transport, node.Terminal{}, "sh", "-c", "echo -n no >&2; exit 7")
		var exit exec.ExitError
		check.True(t, errors.As(err, &exit), "no exit code: %v", err)
		check.Equal(t, "exit code", exit.ExitStatus(), 7)
		check.Equal(t, "output", output, node.Output{Stderr: "no"})
	})
}

func TestExecReadsStdin(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		container := env.New(t).Pod().Start()
		input := strings.Repeat("0123456789abcde\n", 64<<10) // 1 MiB
		terminal := node.Terminal{Stdin: strings.NewReader(input)}
		output, err := container.Session(withTimeout(t, check.Patience), transport, terminal, "cat")
		check.NoError(t, err, "exec")
		check.True(t, output.Stdout == input, "%d of %d bytes came back", len(output.Stdout), len(input))
	})
}

func TestExecWithTerminalEndsThoughStdinStaysOpen(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		container := env.New(t).Pod().Start()
		open, writer := io.Pipe()
		defer writer.Close()
		terminal := node.Terminal{Stdin: open, Tty: true}
		output, err := container.Session(withTimeout(t, check.Patience), transport, terminal, "echo", "hello")
		check.NoError(t, err, "exec")
		check.Equal(t, "output", output.Stdout, "hello\r\n")
	})
}

// sizes are the terminal sizes that arrive while a person resizes a window.
type sizes chan remotecommand.TerminalSize

func (queue sizes) Next() *remotecommand.TerminalSize {
	if size, more := <-queue; more {
		return &size
	}
	return nil
}

func TestExecTerminalIsResized(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		container := env.New(t).Pod().Start()
		queue := make(sizes, 2)
		queue <- remotecommand.TerminalSize{Width: 120, Height: 40}
		screen := &watched{}
		terminal := node.Terminal{Tty: true, Sizes: queue, Stdout: screen}
		ended := make(chan error, 1)
		ctx := withTimeout(t, check.Patience)
		go func() {
			_, err := container.Session(ctx, transport, terminal, "sh", "-c", "while :; do stty size; sleep 0.1; done")
			ended <- err
		}()
		screen.expect(t, "40 120", ended)
		queue <- remotecommand.TerminalSize{Width: 77, Height: 22}
		screen.expect(t, "22 77", ended)
		close(queue)
		container.Stop(0)
		<-ended
	})
}

// watched is output that is read while it grows.
type watched struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (w *watched) Write(data []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.text.Write(data)
}

func (w *watched) String() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.text.String()
}

// expect waits for a text on the screen. It fails if the session ends first.
func (w *watched) expect(t *testing.T, text string, ended chan error) {
	t.Helper()
	check.Eventually(t, text+" on the screen", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the session ended: %v; screen: %q", err, w)
		default:
		}
		return strings.Contains(w.String(), text)
	})
}

func TestAttach(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		container := env.New(t).Pod().Start(func(config *cri.ContainerConfig) {
			config.Command = []string{"/bin/sh"}
			config.Stdin, config.StdinOnce = true, true
		})
		reader, writer := io.Pipe()
		screen := &watched{}
		ended := make(chan error, 1)
		ctx := withTimeout(t, check.Patience)
		go func() {
			_, err := container.Attach(ctx, transport, node.Terminal{Stdin: reader, Stdout: screen})
			ended <- err
		}()
		// If the session failed, nothing would read from the pipe, and the write would block forever.
		go func() { _, _ = io.WriteString(writer, "echo -n hello\n") }()
		screen.expect(t, "hello", ended)
		check.NoError(t, writer.Close(), "closing stdin")
		check.NoError(t, <-ended, "attach")
		check.Equal(t, "all output", screen.String(), "hello")
		check.Equal(t, "exit code", container.Exited().ExitCode, 0)
	})
}

func TestPortForward(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		pod := env.New(t).Pod()
		pod.Start(webServer(80))
		expectWeb(t, pod.IP(), 80)
		local := pod.Forward(transport, 80)
		for range 3 { // one session, several connections
			expectWeb(t, "127.0.0.1", local)
		}
	})
}

func TestPortForwardToHostNetwork(t *testing.T) {
	overEach(t, func(t *testing.T, transport node.Transport) {
		port := freePort(t)
		pod := env.New(t).Pod(node.PodSecurity(func(security *cri.LinuxSandboxSecurityContext) {
			security.NamespaceOptions.Network = cri.NamespaceMode_NODE
		}))
		pod.Start(webServer(int(port)))
		expectWeb(t, "127.0.0.1", port)
		expectWeb(t, "127.0.0.1", pod.Forward(transport, port))
	})
}

func TestExecURLIsAbsolute(t *testing.T) {
	n := env.New(t)
	container := n.Pod().Start()
	reply, err := n.Runtime.Exec(n.Context(), &cri.ExecRequest{ContainerId: container.ID, Cmd: []string{"true"}, Stdout: true})
	check.NoError(t, err, "Exec")
	check.True(t, strings.HasPrefix(reply.Url, "http://") || strings.HasPrefix(reply.Url, "https://"), "URL %q", reply.Url)
}
