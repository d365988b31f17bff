package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"dockbridge.test/conformance/internal/check"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/utils/exec"
)

// Container belongs to a pod and is removed with it.
type Container struct {
	*Pod
	ID     string
	Config *cri.ContainerConfig
}

// Output is the output of a command, and its exit code.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Start starts the container.
func (c *Container) Start() {
	c.T.Helper()
	check.NoError(c.T, c.Runtime.StartContainer(c.Context(), c.ID), "StartContainer")
}

// Stop stops the container with a grace period.
func (c *Container) Stop(seconds int64) {
	c.T.Helper()
	check.NoError(c.T, c.Runtime.StopContainer(c.Context(), c.ID, seconds), "StopContainer")
}

// Remove removes the container.
func (c *Container) Remove() {
	c.T.Helper()
	check.NoError(c.T, c.Runtime.RemoveContainer(c.Context(), c.ID), "RemoveContainer")
}

// Status returns the container's status.
func (c *Container) Status() *cri.ContainerStatus {
	c.T.Helper()
	reply, err := c.Runtime.ContainerStatus(c.Context(), c.ID, false)
	check.NoError(c.T, err, "ContainerStatus")
	return reply.Status
}

// State returns the container's state.
func (c *Container) State() cri.ContainerState {
	c.T.Helper()
	return c.Status().State
}

// Listed returns the container's entry in ListContainers, or nil.
func (c *Container) Listed() *cri.Container {
	c.T.Helper()
	containers, err := c.Runtime.ListContainers(c.Context(), &cri.ContainerFilter{Id: c.ID})
	check.NoError(c.T, err, "ListContainers")
	check.True(c.T, len(containers) < 2, "ListContainers by id gives %d containers", len(containers))
	if len(containers) == 0 {
		return nil
	}
	return containers[0]
}

// Exited waits until the container has ended, and returns its status.
func (c *Container) Exited() *cri.ContainerStatus {
	c.T.Helper()
	var status *cri.ContainerStatus
	check.Eventually(c.T, "the container ends", func() bool {
		status = c.Status()
		return status.State == cri.ContainerState_CONTAINER_EXITED
	})
	return status
}

// Exec runs a command with ExecSync.
func (c *Container) Exec(command ...string) Output {
	c.T.Helper()
	stdout, stderr, err := c.Runtime.ExecSync(c.Context(), c.ID, command, time.Minute)
	output := Output{Stdout: string(stdout), Stderr: string(stderr)}
	var exit exec.CodeExitError
	if errors.As(err, &exit) {
		output.Code = exit.Code
	} else {
		check.NoError(c.T, err, "ExecSync")
	}
	return output
}

// Sh runs a script with ExecSync.
func (c *Container) Sh(script string) Output {
	c.T.Helper()
	return c.Exec("/bin/sh", "-c", script)
}

// LogPath returns the path of the container's log.
func (c *Container) LogPath() string {
	return filepath.Join(c.Pod.Config.LogDirectory, c.Config.LogPath)
}

// Log returns the log as `kubectl logs` would show it. kubelet's own reader reads it.
func (c *Container) Log() Output {
	c.T.Helper()
	var stdout, stderr bytes.Buffer
	err := logs.ReadLogs(c.Context(), c.LogPath(), c.ID, &logs.LogOptions{}, c.Runtime, &stdout, &stderr)
	check.NoError(c.T, err, "reading the log")
	return Output{Stdout: stdout.String(), Stderr: stderr.String()}
}

// FollowLog runs `kubectl logs -f` and returns when the container has ended.
func (c *Container) FollowLog(ctx context.Context) (string, error) {
	var stdout bytes.Buffer
	err := logs.ReadLogs(ctx, c.LogPath(), c.ID, &logs.LogOptions{Follow: true}, c.Runtime, &stdout, &stdout)
	return stdout.String(), err
}

// RawLog returns the contents of the log file.
func (c *Container) RawLog() string {
	c.T.Helper()
	text, err := os.ReadFile(c.LogPath())
	check.NoError(c.T, err, "reading the log")
	return string(text)
}
