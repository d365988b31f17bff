package conformance

import (
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// imageVolume mounts an image into a container that starts. The change edits the mount.
func imageVolume(t *testing.T, change func(*cri.Mount)) (*node.Container, string, error) {
	n := env.New(t)
	reference := n.Publish(nil)[0]
	id := n.Pull(reference)
	mount := &cri.Mount{
		Image: &cri.ImageSpec{Image: id, UserSpecifiedImage: reference}, ContainerPath: "/volume", Readonly: true,
	}
	if change != nil {
		change(mount)
	}
	pod := n.Pod()
	container, err := pod.TryCreate(node.Mount(mount))
	if err != nil {
		return nil, id, err
	}
	return container, id, n.Runtime.StartContainer(n.Context(), container.ID)
}

func startedImageVolume(t *testing.T, change func(*cri.Mount)) (*node.Container, string) {
	t.Helper()
	container, id, err := imageVolume(t, change)
	check.NoError(t, err, "a container with an image volume")
	return container, id
}

func TestImageVolumeIsInTheStatus(t *testing.T) {
	container, id := startedImageVolume(t, nil)
	mounts := container.Status().Mounts
	check.Equal(t, "number of mounts", len(mounts), 1)
	check.Equal(t, "container path", mounts[0].ContainerPath, "/volume")
	check.True(t, mounts[0].Image != nil, "the mount has no image")
	check.Equal(t, "image_ref of the mount", mounts[0].Image.ImageRef, id)
}

func TestImageVolumeIsReadOnlyAndExecutable(t *testing.T) {
	container, _ := startedImageVolume(t, nil)
	check.Contains(t, "touch", container.Sh("touch /volume/new").Stderr, readOnlyText)
	check.Contains(t, "ls of the volume", container.Exec("/volume/bin/ls", "/volume").Stdout, "marker\n")
}

func TestImageVolumeCannotBeWritable(t *testing.T) {
	_, _, err := imageVolume(t, func(mount *cri.Mount) { mount.Readonly = false })
	check.Refused(t, err, "a writable image volume")
}

func TestImageVolumeSubPath(t *testing.T) {
	container, _ := startedImageVolume(t, func(mount *cri.Mount) { mount.ImageSubPath = "etc" })
	check.Contains(t, "content", container.Exec("ls", "/volume").Stdout, "passwd\n")
}

func TestImageVolumeSubPathMustExist(t *testing.T) {
	_, _, err := imageVolume(t, func(mount *cri.Mount) { mount.ImageSubPath = "not/there" })
	check.Refused(t, err, "a sub-path that the image does not have")
}
