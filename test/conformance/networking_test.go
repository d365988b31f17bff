package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// webServer makes a container that answers `ok` on a port.
func webServer(port int) func(*cri.ContainerConfig) {
	return node.Shell(fmt.Sprintf("echo httpd starts; exec httpd -f -p %d -h /www", port))
}

// given holds the ports that were handed out. The kernel's answer is not enough, because it counts a port that only a
// firewall rule uses as free.
var given sync.Map

// freePort returns a port that nobody uses.
func freePort(t *testing.T) int32 {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check.NoError(t, err, "a free port")
		port := int32(listener.Addr().(*net.TCPAddr).Port)
		check.NoError(t, listener.Close(), "close")
		if _, taken := given.LoadOrStore(port, true); !taken {
			return port
		}
	}
}

// expectWeb waits until the address answers as webServer does.
func expectWeb(t *testing.T, host string, port int32) {
	t.Helper()
	url := fmt.Sprintf("http://%s/", net.JoinHostPort(host, fmt.Sprint(port)))
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	check.Eventually(t, "GET "+url, func() bool {
		reply, err := client.Get(url)
		if err != nil {
			return false
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		return err == nil && reply.StatusCode == http.StatusOK && string(body) == "ok\n"
	})
}

func TestPodDNS(t *testing.T) {
	pod := env.New(t).Pod(func(config *cri.PodSandboxConfig) {
		config.DnsConfig = &cri.DNSConfig{
			Servers: []string{"10.10.10.10"}, Searches: []string{"example.com"}, Options: []string{"ndots:8"},
		}
	})
	text := pod.Start().Exec("cat", "/etc/resolv.conf").Stdout
	check.Contains(t, "resolv.conf", text, "nameserver 10.10.10.10", "search example.com", "options ndots:8")
}

func TestPodHostname(t *testing.T) {
	pod := env.New(t).Pod(func(config *cri.PodSandboxConfig) { config.Hostname = "web-0" })
	check.Equal(t, "hostname", pod.Start().Exec("hostname").Stdout, "web-0\n")
}

func TestContainerPortIsReachedAtThePod(t *testing.T) {
	pod := env.New(t).Pod(func(config *cri.PodSandboxConfig) {
		config.PortMappings = []*cri.PortMapping{{ContainerPort: 80}}
	})
	pod.Start(webServer(80))
	expectWeb(t, pod.IP(), 80)
}

func hostPort(protocol cri.Protocol, port, host int32) func(*cri.PodSandboxConfig) {
	return func(config *cri.PodSandboxConfig) {
		config.PortMappings = []*cri.PortMapping{{Protocol: protocol, ContainerPort: port, HostPort: host}}
	}
}

func TestHostPort(t *testing.T) {
	port := freePort(t)
	env.New(t).Pod(hostPort(cri.Protocol_TCP, 80, port)).Start(webServer(80))
	expectWeb(t, "127.0.0.1", port)
}

func TestHostPortUDP(t *testing.T) {
	port := freePort(t)
	pod := env.New(t).Pod(hostPort(cri.Protocol_UDP, 5000, port))
	pod.Start(func(config *cri.ContainerConfig) { config.Command = []string{"udp-echo", "5000"} })
	connection, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	check.NoError(t, err, "dial")
	defer connection.Close()
	answer := make([]byte, 16)
	check.Eventually(t, "an answer by UDP", func() bool {
		if _, err := connection.Write([]byte("hello")); err != nil {
			return false
		}
		_ = connection.SetReadDeadline(time.Now().Add(time.Second)) // fails only on a closed connection
		count, err := connection.Read(answer)
		return err == nil && string(answer[:count]) == "hello"
	})
}

// Some kernels lack SCTP. The rule that forwards the port is visible on all.
func TestHostPortSCTP(t *testing.T) {
	port := freePort(t)
	env.New(t).Pod(hostPort(cri.Protocol_SCTP, 5000, port))
	rules, err := exec.Command("iptables-save", "-t", "nat").Output()
	check.NoError(t, err, "iptables-save")
	found := slices.ContainsFunc(strings.Split(string(rules), "\n"), func(rule string) bool {
		return strings.Contains(rule, "-p sctp") && strings.Contains(rule, fmt.Sprint(port))
	})
	check.True(t, found, "no rule for SCTP port %d:\n%s", port, rules)
}

func TestHostNetworkPodHasTheHostsNetwork(t *testing.T) {
	port := freePort(t)
	pod := env.New(t).Pod(node.PodSecurity(func(security *cri.LinuxSandboxSecurityContext) {
		security.NamespaceOptions.Network = cri.NamespaceMode_NODE
	}))
	pod.Start(webServer(int(port)))
	expectWeb(t, "127.0.0.1", port)
}

func addresses(pod *node.Pod) (v4, v6 string) {
	network := pod.Status().GetNetwork()
	all := []string{network.GetIp()}
	for _, more := range network.GetAdditionalIps() {
		all = append(all, more.Ip)
	}
	for _, address := range all {
		if strings.Contains(address, ":") {
			v6 = address
		} else {
			v4 = address
		}
	}
	return v4, v6
}

func TestPodHasBothFamilies(t *testing.T) {
	pod := env.New(t).Pod()
	v4, v6 := addresses(pod)
	check.True(t, v4 != "" && v6 != "", "addresses: %v", pod.Status().Network)
	container := pod.Start(webServer(80))
	check.Contains(t, "addresses in the pod", container.Exec("ip", "address").Stdout, v4, v6)
}

func TestPodIsReachedByIPv6(t *testing.T) {
	n := env.New(t)
	server := n.Pod()
	server.Start(node.Shell("exec httpd -f -p '[::]:80' -h /www"))
	_, v6 := addresses(server)
	expectWeb(t, v6, 80)
	check.Equal(t, "GET from another pod", get(n.Pod().Start(), "["+v6+"]"), "ok\n")
}

// get calls a web server from within a container.
func get(client *node.Container, host string) string {
	return client.Sh("timeout 10 wget -q -O - 'http://" + host + "/'").Stdout
}

func TestPodsReachEachOther(t *testing.T) {
	n := env.New(t)
	server := n.Pod()
	server.Start(webServer(80))
	ip := server.IP()
	expectWeb(t, ip, 80)
	check.Equal(t, "GET from another pod", get(n.Pod().Start(), ip), "ok\n")
}

func TestContainersOfAPodShareItsNetwork(t *testing.T) {
	pod := env.New(t).Pod()
	pod.Start(webServer(80))
	expectWeb(t, pod.IP(), 80)
	check.Equal(t, "GET from the other container", get(pod.Start(), "127.0.0.1"), "ok\n")
}

func TestContainersOfAPodHaveTheirOwnLogs(t *testing.T) {
	n := env.New(t)
	pod := n.Pod()
	web, talker := pod.Start(webServer(80)), pod.Start(node.Shell("echo hello World; exec sleep 1000"))
	for container, text := range map[*node.Container]string{web: "httpd", talker: "hello World"} {
		path := container.Status().LogPath
		check.Equal(t, "log_path", path, container.LogPath())
		check.Eventually(t, "log of "+text, func() bool { return strings.Contains(container.RawLog(), text) })
	}
}

func TestExecSyncRunsInTheContainerItNames(t *testing.T) {
	pod := env.New(t).Pod()
	for _, container := range []*node.Container{pod.Start(webServer(80)), pod.Start()} {
		name := container.Config.Metadata.Name
		check.Equal(t, "output", container.Sh("echo -n "+name+" > /name; cat /name").Stdout, name)
	}
}

// withTimeout returns a context for calls that may hang.
func withTimeout(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
