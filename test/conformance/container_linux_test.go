package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const readOnlyText = "Read-only file system"

func privileged(config *cri.PodSandboxConfig) { config.Linux.SecurityContext.Privileged = true }

func privilegedContainer(config *cri.ContainerConfig) { config.Linux.SecurityContext.Privileged = true }

// sharedDirectory returns a mount point whose mounts propagate.
func sharedDirectory(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	check.NoError(t, unix.Mount(directory, directory, "", unix.MS_BIND, ""), "bind mount")
	t.Cleanup(func() { _ = unix.Unmount(directory, unix.MNT_DETACH) }) // removing the directory would report an error
	check.NoError(t, unix.Mount("", directory, "", unix.MS_SHARED, ""), "making it shared")
	return directory
}

// mountTmpfs mounts a tmpfs with a file at directory/name.
func mountTmpfs(t *testing.T, directory, name string) {
	t.Helper()
	point := filepath.Join(directory, name)
	check.NoError(t, os.MkdirAll(point, 0o755), "mount point")
	check.NoError(t, unix.Mount("tmpfs", point, "tmpfs", 0, ""), "tmpfs")
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
	check.NoError(t, os.WriteFile(filepath.Join(point, "file"), nil, 0o666), "file")
}

func TestMountPropagation(t *testing.T) {
	for _, spec := range []struct {
		mode            cri.MountPropagation
		inward, outward bool
	}{
		{cri.MountPropagation_PROPAGATION_PRIVATE, false, false},
		{cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER, true, false},
		{cri.MountPropagation_PROPAGATION_BIDIRECTIONAL, true, true},
	} {
		t.Run(spec.mode.String(), func(t *testing.T) {
			pod := env.New(t).Pod(privileged)
			directory := sharedDirectory(t)
			check.NoError(t, os.Mkdir(filepath.Join(directory, "inside"), 0o755), "directory")
			mount := &cri.Mount{HostPath: directory, ContainerPath: "/mounted", Propagation: spec.mode}
			container := pod.Start(privilegedContainer, node.Mount(mount))

			mounts := container.Status().Mounts
			check.Equal(t, "number of mounts", len(mounts), 1)
			check.Equal(t, "host path", mounts[0].HostPath, directory)
			check.Equal(t, "container path", mounts[0].ContainerPath, "/mounted")
			check.Equal(t, "propagation", mounts[0].Propagation, spec.mode)
			check.Equal(t, "readonly", mounts[0].Readonly, false)
			check.Equal(t, "selinux_relabel", mounts[0].SelinuxRelabel, false)

			mountTmpfs(t, directory, "outside")
			seen := container.Sh("test -e /mounted/outside/file").Code == 0
			check.Equal(t, "a mount of the host is seen in the container", seen, spec.inward)

			made := container.Sh("mount -t tmpfs tmpfs /mounted/inside && touch /mounted/inside/file")
			check.Equal(t, "exit code of mount in the container ("+made.Stderr+")", made.Code, 0)
			_, err := os.Stat(filepath.Join(directory, "inside", "file"))
			check.Equal(t, "a mount of the container is seen on the host", err == nil, spec.outward)
		})
	}
}

func TestOutOfMemoryIsReported(t *testing.T) {
	const limit = 16 << 20
	container := env.New(t).Pod().Start(
		node.Resources(&cri.LinuxContainerResources{MemoryLimitInBytes: limit, MemorySwapLimitInBytes: limit}),
		// The script waits before it exceeds the limit, because on cgroup v1 the runtime misses a kill before it listens.
		node.Shell("until test -e /tmp/go; do sleep 0.1; done; dd if=/dev/zero of=/dev/null bs=24M"),
	)
	container.Exec("touch", "/tmp/go")
	status := container.Exited()
	check.Equal(t, "exit code", status.ExitCode, 137)
	// The kernel's notification may come after the death.
	check.Eventually(t, "the reason OOMKilled", func() bool { return container.Status().Reason == "OOMKilled" })
}

func readOnlyMount(t *testing.T) *cri.Mount {
	t.Helper()
	directory := sharedDirectory(t)
	mountTmpfs(t, directory, "below")
	return &cri.Mount{HostPath: directory, ContainerPath: "/mounted", Readonly: true}
}

func TestReadOnlyMountLeavesMountsBelowWritable(t *testing.T) {
	pod := env.New(t).Pod()
	container := pod.Start(node.Mount(readOnlyMount(t)))
	check.Contains(t, "touch", container.Sh("touch /mounted/new").Stderr, readOnlyText)
	below := container.Sh("touch /mounted/below/new")
	check.Equal(t, "exit code of touch below ("+below.Stderr+")", below.Code, 0)
	check.Equal(t, "recursive_read_only of the status", container.Status().Mounts[0].RecursiveReadOnly, false)
}

func TestRecursiveReadOnlyMount(t *testing.T) {
	pod := env.New(t).Pod()
	_, features := pod.Features()
	check.True(t, features.GetRecursiveReadOnlyMounts(), "the runtime handler does not offer recursive_read_only_mounts")
	mount := readOnlyMount(t)
	mount.RecursiveReadOnly = true
	container := pod.Start(node.Mount(mount))
	check.Contains(t, "touch below", container.Sh("touch /mounted/below/new").Stderr, readOnlyText)
	check.Equal(t, "recursive_read_only of the status", container.Status().Mounts[0].RecursiveReadOnly, true)
}

func TestRecursiveReadOnlyMountIsRefused(t *testing.T) {
	for name, change := range map[string]func(*cri.Mount){
		"with propagation from the host": func(mount *cri.Mount) {
			mount.Propagation = cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
		},
		"with propagation both ways": func(mount *cri.Mount) {
			mount.Propagation = cri.MountPropagation_PROPAGATION_BIDIRECTIONAL
		},
		"when it is not read-only": func(mount *cri.Mount) { mount.Readonly = false },
	} {
		t.Run(name, func(t *testing.T) {
			pod := env.New(t).Pod(privileged)
			mount := readOnlyMount(t)
			mount.RecursiveReadOnly = true
			change(mount)
			_, err := pod.TryCreate(privilegedContainer, node.Mount(mount))
			check.Refused(t, err, "the mount")
		})
	}
}
