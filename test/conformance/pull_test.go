package conformance

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/node"
	"dockbridge.test/conformance/internal/registry"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestPullNeedsCredentials(t *testing.T) {
	for name, spec := range map[string]struct {
		auth *cri.AuthConfig
		good bool
	}{
		"none":            {nil, false},
		"wrong ones":      {&cri.AuthConfig{Username: registry.User, Password: "wrong"}, false},
		"name, password":  {&cri.AuthConfig{Username: registry.User, Password: registry.Password}, true},
		"encoded as auth": {&cri.AuthConfig{Auth: "cHVsbGVyOnA6dw=="}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := env.New(t)
			reference := strings.Replace(n.Publish(nil)[0], n.Registry.Host, n.Registry.PrivateHost, 1)
			n.RemoveAtEnd(reference)
			_, err := n.Images.PullImage(n.Context(), &cri.ImageSpec{Image: reference}, spec.auth, nil)
			if !spec.good {
				check.Refused(t, err, "the pull")
				check.True(t, n.Image(reference) == nil, "the image is there")
				return
			}
			check.NoError(t, err, "PullImage")
			check.True(t, n.Image(reference) != nil, "the image is not there")
		})
	}
}

func TestPullOfWhatIsNotThereFails(t *testing.T) {
	n := env.New(t)
	_, err := n.Images.PullImage(n.Context(), &cri.ImageSpec{Image: n.Registry.Host + "/not/there:1"}, nil, nil)
	check.Refused(t, err, "the pull")
}

// slowImage publishes an image whose layer is sent at a pace.
func slowImage(n *node.Node, pace registry.Pace) string {
	reference := n.Publish(func(image *registry.Image) {
		noise := make([]byte, 2*mebibyte)
		_, _ = rand.Read(noise) // never fails
		image.Layers, image.Files = nil, map[string]string{"noise": string(noise)}
	})[0]
	_, repository, _ := strings.Cut(node.Repository(reference), "/")
	n.Registry.Slow(repository, pace)
	return reference
}

func TestSlowPullDoesNotBlockOthers(t *testing.T) {
	n := env.New(t)
	ended, release := make(chan struct{}, 1), make(chan struct{})
	reference := slowImage(n, registry.Pace{Chunks: 1000, Every: 100 * time.Millisecond, Release: release, Ended: ended})
	pulled := make(chan error, 1)
	go func() {
		_, err := n.Images.PullImage(n.Context(), &cri.ImageSpec{Image: reference}, nil, nil)
		pulled <- err
	}()
	check.True(t, n.Image(reference) == nil, "the image is there before its layer")
	n.Pull(n.Publish(nil)[0])
	select {
	case <-ended:
		t.Fatal("a pull waited for a slower one")
	default:
	}
	close(release)
	check.NoError(t, <-pulled, "the slow pull")
	check.True(t, n.Image(reference) != nil, "the image is not there")
}

// kubelet sets no deadline for a pull, so the runtime must end a pull without progress. CONFORMANCE_PULL_LIMIT says that this
// runtime's limit is below Patience.
func TestPullWithoutProgressEnds(t *testing.T) {
	n := env.New(t)
	if os.Getenv("CONFORMANCE_PULL_LIMIT") == "" {
		t.Skip("nobody said that the runtime ends a pull without progress in less than a minute (CONFORMANCE_PULL_LIMIT)")
	}
	reference := slowImage(n, registry.Pace{Chunks: 10, Stall: 3, Every: time.Millisecond, Ended: make(chan struct{}, 1)})
	ctx := withTimeout(t, check.Patience)
	_, err := n.Images.PullImage(ctx, &cri.ImageSpec{Image: reference}, nil, nil)
	check.True(t, err != nil && ctx.Err() == nil, "the pull did not end by itself: %v", err)
}

func TestPullEndsWhenItsCallerHasGone(t *testing.T) {
	n := env.New(t)
	ended := make(chan struct{}, 1)
	reference := slowImage(n, registry.Pace{Chunks: 1000, Every: 100 * time.Millisecond, Ended: ended})
	_, err := n.Images.PullImage(withTimeout(t, 2*time.Second), &cri.ImageSpec{Image: reference}, nil, nil)
	check.True(t, err != nil, "the pull succeeded")
	select {
	case <-ended:
	case <-withTimeout(t, check.Patience).Done():
		t.Fatal("the runtime did not cancel the download")
	}
}

func TestSandboxImageIsPinned(t *testing.T) {
	n := env.New(t)
	n.Pod() // makes the runtime load the sandbox image
	images, err := n.Images.ListImages(n.Context(), nil)
	check.NoError(t, err, "ListImages")
	pinned := 0
	for _, image := range images {
		if image.Pinned {
			pinned++
		}
		for _, tag := range image.RepoTags {
			check.True(t, !strings.HasPrefix(tag, n.Registry.Host+"/image-") || !image.Pinned, "%s is pinned", tag)
		}
	}
	check.True(t, pinned > 0, "no image is pinned: kubelet would collect the sandbox image")
}
