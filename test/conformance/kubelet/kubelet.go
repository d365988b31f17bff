// Package kubelet lets a kubelet run static pods on a conformance node and checks the results through the kubelet's
// own API. docs/conformance.md describes it.
package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// nodeName is appended to the names of static pods.
	nodeName = "node"
	// nodeAddress is the address that node.sh gives to the node.
	nodeAddress = "198.51.100.1"
	logsDir     = "/var/log/pods"

	readOnly = "http://127.0.0.1:10255"
	full     = "https://127.0.0.1:10250"
)

// kubelet is a running kubelet.
type kubelet struct {
	process *os.Process
	pidFile string
	ended   chan error
}

// configuration is for a node with cgroup v1 and without a cluster. Logs are checked and rotated as often as kubelet allows,
// so that a test sees some rotations.
func configuration(work string, gates map[string]bool) map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"containerRuntimeEndpoint": os.Getenv("CONFORMANCE_ENDPOINT"),
		"staticPodPath":            filepath.Join(work, "manifests"),
		"podLogsDir":               logsDir,
		"volumePluginDir":          filepath.Join(work, "volume-plugins"),
		"cgroupDriver":             "cgroupfs", "failCgroupV1": false, "failSwapOn": false,
		"address": "127.0.0.1", "port": 10250, "readOnlyPort": 10255, "healthzPort": 0,
		"authentication": map[string]any{"anonymous": map[string]any{"enabled": true}, "webhook": map[string]any{"enabled": false}},
		"authorization":  map[string]any{"mode": "AlwaysAllow"},
		// A full disk on the test machine must not affect the result.
		"evictionHard": map[string]string{"memory.available": "1Mi"}, "imageGCHighThresholdPercent": 100,
		"containerLogMaxSize": "64Ki", "containerLogMaxFiles": 50, "containerLogMonitorInterval": "3s",
		"serializeImagePulls": false,
		"featureGates":        gates,
	}
}

// start returns when the kubelet reports that it is healthy.
func start(work string, gates map[string]bool) (*kubelet, error) {
	config, err := json.Marshal(configuration(work, gates))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(work, "kubelet.json")
	if err := os.WriteFile(file, config, 0o644); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(work, "manifests"), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(work, "kubelet.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(os.Getenv("KUBELET"), "--config", file, "--hostname-override", nodeName,
		"--node-ip", nodeAddress+",2001:db8:10::1", "--v", "2")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return nil, err
	}
	// run.sh ends the kubelet if this process cannot.
	k := &kubelet{process: command.Process, pidFile: filepath.Join(work, "kubelet.pid"), ended: make(chan error, 1)}
	if err := os.WriteFile(k.pidFile, []byte(strconv.Itoa(command.Process.Pid)), 0o644); err != nil {
		return nil, err
	}
	go func() { k.ended <- command.Wait() }()
	return k, k.awaitHealth()
}

func (k *kubelet) awaitHealth() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case err := <-k.ended:
			return fmt.Errorf("the kubelet ended, see kubelet.log: %w", err)
		case <-time.After(500 * time.Millisecond):
		}
		reply, err := http.Get(readOnly + "/healthz")
		if err != nil {
			continue
		}
		reply.Body.Close() // only the status counts
		if reply.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the kubelet is not healthy after %s, see kubelet.log", patience), k.stop())
}

// stop ends the kubelet as systemd does. Its pods stay.
func (k *kubelet) stop() error {
	defer os.Remove(k.pidFile) // run.sh has nothing to end any more
	if err := k.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-k.ended:
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("the kubelet does not end"), k.process.Kill())
	}
}
