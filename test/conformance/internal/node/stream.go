package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"dockbridge.test/conformance/internal/check"
	"k8s.io/apimachinery/pkg/util/httpstream"
	consts "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	streaming "k8s.io/streaming/pkg/httpstream"
)

// Transport is a way in which kubectl or the API server uses a streaming URL.
type Transport string

// The transports of client-go.
const (
	SPDY      Transport = "SPDY"
	WebSocket Transport = "WebSocket"
	// OldWebSocket is the protocol v4.channel.k8s.io, which cannot close stdin.
	OldWebSocket Transport = "WebSocket v4"
	// Fallback tries WebSocket and then SPDY, as kubectl does.
	Fallback Transport = "fallback"
)

// The URL is on this node, so its certificate does not have to be verified.
var insecure = &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}}

// asking is an executor that requests a new URL for each session, because a URL is valid once.
type asking struct {
	transport Transport
	ask       func() (string, error)
}

func (a asking) Stream(options remotecommand.StreamOptions) error {
	return a.StreamWithContext(context.Background(), options)
}

func (a asking) StreamWithContext(ctx context.Context, options remotecommand.StreamOptions) error {
	address, err := a.ask()
	if err != nil {
		return err
	}
	executor, err := a.transport.executor(address)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, options)
}

func (transport Transport) executor(address string) (remotecommand.Executor, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch transport {
	case SPDY:
		return remotecommand.NewSPDYExecutor(insecure, http.MethodPost, parsed)
	case OldWebSocket:
		return remotecommand.NewWebSocketExecutorForProtocols(insecure, http.MethodGet, address, consts.StreamProtocolV4Name)
	}
	return remotecommand.NewWebSocketExecutor(insecure, http.MethodGet, address)
}

// client-go has two types for this error.
func upgradeFailed(err error) bool {
	return httpstream.IsUpgradeFailure(err) || streaming.IsUpgradeFailure(err)
}

// Terminal is the terminal of a kubectl session.
type Terminal struct {
	Stdin io.Reader
	Tty   bool
	Sizes remotecommand.TerminalSizeQueue
	// Stdout, if it is set, gets the output, which the result then lacks.
	Stdout io.Writer
}

// Stream runs a session at the URL that ask returns, until the command ends.
func (terminal Terminal) Stream(ctx context.Context, transport Transport, ask func() (string, error)) (Output, error) {
	var executor remotecommand.Executor = asking{transport, ask}
	if transport == Fallback {
		var err error
		executor, err = remotecommand.NewFallbackExecutor(asking{WebSocket, ask}, asking{SPDY, ask}, upgradeFailed)
		if err != nil {
			return Output{}, err
		}
	}
	var stdout, stderr bytes.Buffer
	options := remotecommand.StreamOptions{
		Stdin: terminal.Stdin, Stdout: &stdout, Tty: terminal.Tty, TerminalSizeQueue: terminal.Sizes,
	}
	if terminal.Stdout != nil {
		options.Stdout = terminal.Stdout
	}
	if !terminal.Tty {
		options.Stderr = &stderr
	}
	err := executor.StreamWithContext(ctx, options)
	return Output{Stdout: stdout.String(), Stderr: stderr.String()}, err
}

// Session is `kubectl exec`.
func (c *Container) Session(ctx context.Context, transport Transport, terminal Terminal, command ...string) (Output, error) {
	c.T.Helper()
	return terminal.Stream(ctx, transport, func() (string, error) {
		reply, err := c.Runtime.Exec(ctx, &cri.ExecRequest{
			ContainerId: c.ID, Cmd: command, Tty: terminal.Tty, Stdin: terminal.Stdin != nil, Stdout: true, Stderr: !terminal.Tty,
		})
		return reply.GetUrl(), err
	})
}

// Attach is `kubectl attach`.
func (c *Container) Attach(ctx context.Context, transport Transport, terminal Terminal) (Output, error) {
	c.T.Helper()
	return terminal.Stream(ctx, transport, func() (string, error) {
		reply, err := c.Runtime.Attach(ctx, &cri.AttachRequest{
			ContainerId: c.ID, Tty: terminal.Tty, Stdin: terminal.Stdin != nil, Stdout: true, Stderr: !terminal.Tty,
		})
		return reply.GetUrl(), err
	})
}

// Forward is `kubectl port-forward`. It returns the local port, which is open until the spec ends.
func (p *Pod) Forward(transport Transport, port int32) int32 {
	p.T.Helper()
	ask := func() (string, error) {
		reply, err := p.Runtime.PortForward(p.Context(), &cri.PortForwardRequest{PodSandboxId: p.ID, Port: []int32{port}})
		return reply.GetUrl(), err
	}
	var dialer httpstream.Dialer = askingDialer{transport, ask}
	if transport == Fallback {
		dialer = portforward.NewFallbackDialer(askingDialer{WebSocket, ask}, askingDialer{SPDY, ask}, upgradeFailed)
	}

	ready, stop, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var messages bytes.Buffer
	forwarder, err := portforward.New(dialer, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, &messages)
	check.NoError(p.T, err, "forwarder")
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		p.T.Fatalf("forwarding: %v %s", err, messages.String())
	}
	p.T.Cleanup(func() {
		close(stop)
		if err := <-ended; err != nil {
			p.T.Errorf("forwarding: %v", err)
		}
	})
	ports, err := forwarder.GetPorts()
	check.NoError(p.T, err, "ports")
	return int32(ports[0].Local)
}

// askingDialer requests URLs for port-forward as asking does.
type askingDialer struct {
	transport Transport
	ask       func() (string, error)
}

func (a askingDialer) Dial(protocols ...string) (httpstream.Connection, string, error) {
	text, err := a.ask()
	if err != nil {
		return nil, "", err
	}
	address, err := url.Parse(text)
	if err != nil {
		return nil, "", err
	}
	dialer, err := a.transport.dialer(address)
	if err != nil {
		return nil, "", err
	}
	return dialer.Dial(protocols...)
}

func (transport Transport) dialer(address *url.URL) (httpstream.Dialer, error) {
	if transport == WebSocket {
		return portforward.NewSPDYOverWebsocketDialer(address, insecure)
	}
	roundTripper, upgrader, err := spdy.RoundTripperFor(insecure)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, address), nil
}
