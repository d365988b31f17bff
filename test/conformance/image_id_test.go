package conformance

import (
	"strings"
	"testing"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	"dockbridge.test/conformance/internal/registry"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// startByID starts a container of an image as kubelet does, which names the image by the result of PullImage.
func startByID(n *node.Node, id, name string) *node.Container {
	return n.Pod().Start(func(config *cri.ContainerConfig) {
		config.Image = &cri.ImageSpec{Image: id, UserSpecifiedImage: name}
		config.Command = nil
	})
}

func TestImageHasOneIDEverywhere(t *testing.T) {
	n := env.New(t)
	name := n.Publish(nil)[0]
	id := n.Pull(name)
	check.Equal(t, "Image.id", n.Image(name).GetId(), id)
	container := startByID(n, id, name)
	check.Equal(t, "ContainerStatus.image_id", container.Status().ImageId, id)
	check.Equal(t, "Container.image_id", container.Listed().ImageId, id)
	check.Equal(t, "ContainerStatus.image", container.Status().Image.Image, name)
}

func TestImageOfTwoRegistriesHasOneID(t *testing.T) {
	n := env.New(t)
	here := n.Publish(func(image *registry.Image) { image.Entrypoint = []string{"pause"} })[0]
	there := strings.Replace(here, n.Registry.Host, n.Registry.Alias, 1)
	id := n.Pull(here)
	check.Equal(t, "PullImage of the other registry", n.Pull(there), id)
	check.Equal(t, "Image.id", n.Image(here).GetId(), id)
	check.Equal(t, "Image.id by the other name", n.Image(there).GetId(), id)
	container := startByID(n, id, there)
	check.Equal(t, "ContainerStatus.image_id", container.Status().ImageId, id)
}
