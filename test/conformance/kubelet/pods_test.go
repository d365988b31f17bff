package kubelet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// TestPods runs all pods at the same time. The tests of the other files disturb the node, and run later.
func TestPods(t *testing.T) {
	for name, spec := range map[string]func(*testing.T){
		"InitAndSidecarContainers": initAndSidecarContainers,
		"Probes":                   probes,
		"Hooks":                    hooks,
		"HostPort":                 hostPort,
		"Deletion":                 deletion,
		"LogsAndTheirRotation":     logsAndTheirRotation,
		"OutOfMemory":              outOfMemory,
		"CrashLoop":                crashLoop,
		"MissingImage":             missingImage,
		"MissingCommand":           missingCommand,
		"Streams":                  streams,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec(t)
		})
	}
}

func initAndSidecarContainers(t *testing.T) {
	sidecar := walk.container("sidecar", `
		trap "echo sidecar ends >>/shared/order; exit 0" TERM
		echo sidecar >>/shared/order
		touch /shared/sidecar-is-up
		while :; do sleep 3600 & wait $!; done`)
	sidecar.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	sidecar.StartupProbe = probe(corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"test", "-e", "/shared/sidecar-is-up"}}})
	p := walk.create(t, "init", corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: ptr.To(int64(60)),
		InitContainers: []corev1.Container{
			walk.container("first", "echo first >>/shared/order"),
			sidecar,
			walk.container("second", "echo second >>/shared/order"),
		},
		Containers: []corev1.Container{walk.container("main", `
			echo main >>/shared/order
			until test -e /shared/end; do sleep 0.2; done
			echo main ends >>/shared/order`)},
	})
	seen := p.ready()
	for _, name := range []string{"first", "second"} {
		ended := statusOf(seen, name).State.Terminated
		check.True(t, ended != nil && ended.Reason == "Completed", "%s has not completed: %v", name, ended)
	}
	check.True(t, statusOf(seen, "sidecar").State.Running != nil, "the sidecar does not run next to main")

	p.tell("end")
	seen = p.await("it has succeeded", func(seen *corev1.Pod) bool {
		return seen.Status.Phase == corev1.PodSucceeded && statusOf(seen, "sidecar").State.Terminated != nil
	})
	check.Equal(t, "the sidecar's exit code", statusOf(seen, "sidecar").State.Terminated.ExitCode, 0)
	check.Equal(t, "the order", p.holds("order"), "first\nsidecar\nsecond\nmain\nmain ends\nsidecar ends\n")
}

func hooks(t *testing.T) {
	// The container needs its grace period: the trap takes a second.
	hooked := walk.container("hooked", `
		trap "sleep 1; echo TERM >>/shared/hooks; exit 0" TERM
		touch /shared/traps
		while :; do sleep 3600 & wait $!; done`)
	says := func(text string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "echo " + text + " >>/shared/hooks"}}}
	}
	hooked.Lifecycle = &corev1.Lifecycle{PostStart: says("post-start"), PreStop: says("pre-stop")}
	hooked.ReadinessProbe = probe(corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"test", "-e", "/shared/traps"}}})
	p := walk.create(t, "hooks", corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To(int64(60)), Containers: []corev1.Container{hooked},
	})
	p.ready()
	eventually(t, "the first hook has run", func() (bool, string) {
		said := p.holds("hooks")
		return said == "post-start\n", fmt.Sprintf("the hooks said %q", said)
	})
	p.delete()
	p.ended()
	check.Equal(t, "what the hooks said", p.holds("hooks"), "post-start\npre-stop\nTERM\n")
}

func hostPort(t *testing.T) {
	web := walk.container("web", "exec httpd -f -p 8000 -h /www")
	web.Ports = []corev1.ContainerPort{{ContainerPort: 8000, HostPort: 18080}}
	web.ReadinessProbe = probe(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(8000)}})
	p := walk.create(t, "host-port", corev1.PodSpec{Containers: []corev1.Container{web}})
	seen := p.ready()
	check.Equal(t, "the number of addresses", len(seen.Status.PodIPs), 2)
	for _, host := range []string{nodeAddress, "127.0.0.1"} {
		text, err := get("http://" + host + ":18080/")
		check.NoError(t, err, "the host port")
		check.Equal(t, "the page", text, "ok\n")
	}
	p.delete()
	p.ended()
	_, err := get("http://" + nodeAddress + ":18080/")
	check.True(t, err != nil, "somebody still answers at the host port")
}

func deletion(t *testing.T) {
	p := walk.create(t, "deletion", corev1.PodSpec{Containers: []corev1.Container{
		walk.container("one", "echo here; "+sleeps), walk.container("two", sleeps),
	}})
	seen := p.ready()
	logs := filepath.Dir(p.logDirectory(seen, "one"))
	text, err := os.ReadFile(filepath.Join(logs, "one", "0.log"))
	check.NoError(t, err, "the log")
	check.Contains(t, "the log", string(text), " stdout F here\n")
	groups := groupsOf(string(seen.UID))
	check.True(t, len(groups) > 0, "the pod has no control groups")

	p.delete()
	p.ended()
	// The kubelet collects garbage once a minute.
	eventually(t, "the runtime forgets the pod", func() (bool, string) {
		sandboxes, containers, err := p.inRuntime()
		if err != nil {
			return false, err.Error()
		}
		return len(sandboxes) == 0 && len(containers) == 0, "it has sandboxes and containers"
	})
	for what, path := range map[string]string{"the logs": logs, "the volumes": filepath.Join("/var/lib/kubelet/pods", string(seen.UID))} {
		eventually(t, what+" go", func() (bool, string) {
			_, err := os.Stat(path)
			return os.IsNotExist(err), path + " is there"
		})
	}
	eventually(t, "the control groups go", func() (bool, string) {
		left := groupsOf(string(seen.UID))
		return len(left) == 0, "there are " + strings.Join(left, " ")
	})
}

// groupsOf returns the cgroups of a pod, or of all pods (`*`), in all hierarchies.
func groupsOf(uid string) []string {
	var found []string
	for _, pattern := range []string{"kubepods/*/pod", "kubepods/pod", "*/kubepods/*/pod", "*/kubepods/pod"} {
		groups, _ := filepath.Glob("/sys/fs/cgroup/" + pattern + uid) // the pattern is right
		found = append(found, groups...)
	}
	return found
}
