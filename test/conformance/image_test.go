package conformance

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"dockbridge.test/conformance/internal/check"
	"dockbridge.test/conformance/internal/registry"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestImageIsPulledByTag(t *testing.T) {
	for name, tag := range map[string]string{"with tag": "test", "without tag": "latest"} {
		t.Run(name, func(t *testing.T) {
			n := env.New(t)
			reference := n.Publish(nil, tag)[0]
			n.Pull(strings.TrimSuffix(reference, ":latest"))
			image := n.Image(reference)
			check.True(t, image != nil, "no status of the pulled image")
			check.Same(t, "repo_tags", image.RepoTags, []string{reference})
			check.True(t, image.Id != "" && image.Size > 0, "no id or size: %v", image)
			n.RemoveImage(image.Id)
			check.True(t, n.Image(reference) == nil, "the removed image is still there")
		})
	}
}

func TestImageIsPulledByDigest(t *testing.T) {
	n := env.New(t)
	name := n.Name("digest")
	reference := n.Registry.PublishIndex(n.Environment.Image(name), name)
	n.RemoveAtEnd(reference)
	n.Pull(reference)
	image := n.Image(reference)
	check.True(t, image != nil, "no status of the pulled image")
	check.Same(t, "repo_tags", image.RepoTags, nil)
	check.Same(t, "repo_digests", image.RepoDigests, []string{reference})
}

func TestPullEndsWithItsDeadline(t *testing.T) {
	n := env.New(t)
	reference := n.Publish(nil)[0]
	ctx, cancel := context.WithTimeout(n.Context(), time.Millisecond)
	defer cancel()
	_, err := n.Images.PullImage(ctx, &cri.ImageSpec{Image: reference}, nil, nil)
	check.Equal(t, "code", status.Code(err), codes.DeadlineExceeded)
	n.Pull(reference) // the runtime still works
}

func TestImageStatusIsTheSameByEveryName(t *testing.T) {
	n := env.New(t)
	reference := n.Publish(nil)[0]
	n.Pull(reference)
	image := n.Image(reference)
	names := append(append([]string{image.Id}, image.RepoTags...), image.RepoDigests...)
	check.True(t, len(names) >= 3, "too few names: %v", names)
	for _, name := range names {
		check.True(t, proto.Equal(n.Image(name), image), "by %s: %v\nby %s: %v", name, n.Image(name), reference, image)
	}
}

func TestImageStatusReturnsTheUser(t *testing.T) {
	for user, want := range map[string]struct {
		uid  int64
		name string
	}{
		"1002": {1002, ""}, "www-data": {0, "www-data"}, "1003:1004": {1003, ""}, "www-data:1004": {0, "www-data"},
	} {
		t.Run(user, func(t *testing.T) {
			n := env.New(t)
			reference := n.Publish(func(image *registry.Image) { image.User = user })[0]
			n.Pull(reference)
			image := n.Image(reference)
			check.Equal(t, "uid", image.Uid.GetValue(), want.uid)
			check.Equal(t, "username", image.Username, want.name)
		})
	}
}

func TestImagesAreListedOneByOne(t *testing.T) {
	n := env.New(t)
	want := map[string]string{}
	for range 3 {
		reference := n.Publish(nil)[0]
		want[n.Pull(reference)] = reference
	}
	images, err := n.Images.ListImages(n.Context(), nil)
	check.NoError(t, err, "ListImages")
	for _, image := range images {
		if reference, ours := want[image.Id]; ours {
			check.Same(t, "repo_tags", image.RepoTags, []string{reference})
			delete(want, image.Id)
		}
	}
	check.Equal(t, "number of images that are not listed", len(want), 0)
}

func TestImageHasAllItsTags(t *testing.T) {
	n := env.New(t)
	references := n.Publish(nil, "1", "2", "3")
	first := n.Pull(references[0])
	for _, reference := range references[1:] {
		check.Equal(t, "what PullImage calls the same image", n.Pull(reference), first)
	}
	images, err := n.Images.ListImages(n.Context(), &cri.ImageFilter{Image: &cri.ImageSpec{Image: references[1]}})
	check.NoError(t, err, "ListImages")
	check.Equal(t, "number of images with the tag", len(images), 1)
	check.Same(t, "repo_tags", images[0].RepoTags, references)
}

func TestRemovingAnImageByItsIDRemovesAllTags(t *testing.T) {
	n := env.New(t)
	references := n.Publish(nil, "1", "2", "3")
	for _, reference := range references {
		n.Pull(reference)
	}
	id := n.Image(references[0]).Id
	n.RemoveImage(id)
	for _, name := range append(references, id) {
		check.True(t, n.Image(name) == nil, "%s is still there", name)
	}
}

func TestRemovingAnImageRemovesItsTagsOfOtherRegistries(t *testing.T) {
	n := env.New(t)
	here := n.Publish(nil)[0]
	there := strings.Replace(here, n.Registry.Host, n.Registry.Alias, 1)
	id := n.Pull(here)
	check.Equal(t, "what the other registry's is called", n.Pull(there), id)
	check.Same(t, "repo_tags", n.Image(here).RepoTags, []string{here, there})
	n.RemoveImage(n.Image(here).Id)
	for _, name := range []string{here, there, id} {
		check.True(t, n.Image(name) == nil, "%s is still there", name)
	}
}

func listed(images []*cri.Image, id string) bool {
	for _, image := range images {
		if image.Id == id {
			return true
		}
	}
	return false
}

func TestImageIsThereAsSoonAsItIsPulled(t *testing.T) {
	n := env.New(t)
	reference := n.Publish(nil)[0]
	id := n.Pull(reference)
	images, err := n.Images.ListImages(n.Context(), nil)
	check.NoError(t, err, "ListImages")
	check.True(t, listed(images, id), "not listed")
	check.True(t, n.Image(reference) != nil, "no status")
}

func TestImageIsGoneAsSoonAsItIsRemoved(t *testing.T) {
	n := env.New(t)
	reference := n.Publish(nil)[0]
	id := n.Pull(reference)
	n.RemoveImage(reference)
	images, err := n.Images.ListImages(n.Context(), nil)
	check.NoError(t, err, "ListImages")
	check.True(t, !listed(images, id), "still listed")
	check.True(t, n.Image(reference) == nil, "still there")
}

func TestImageMayBeRemovedByManyAtOnce(t *testing.T) {
	n := env.New(t)
	reference := n.Publish(nil)[0]
	id := n.Pull(reference)
	var removers sync.WaitGroup
	for range 5 {
		removers.Go(func() {
			err := n.Images.RemoveImage(n.Context(), &cri.ImageSpec{Image: id})
			if err != nil {
				t.Errorf("RemoveImage: %v", err)
			}
			reply, err := n.Images.ImageStatus(n.Context(), &cri.ImageSpec{Image: id}, false)
			if err != nil || reply.Image != nil {
				t.Errorf("after RemoveImage: %v, %v", reply, err)
			}
		})
	}
	removers.Wait()
}

func TestImageFsInfoReturnsPathAndUsage(t *testing.T) {
	n := env.New(t)
	n.Have(n.Base)
	info, err := n.Images.ImageFsInfo(n.Context())
	check.NoError(t, err, "ImageFsInfo")
	check.True(t, len(info.ImageFilesystems) > 0, "no image file system")
	for _, filesystem := range info.ImageFilesystems {
		check.True(t, filesystem.Timestamp > 0, "no time: %v", filesystem)
		check.True(t, filesystem.FsId.GetMountpoint() != "", "no mount point: %v", filesystem)
		check.True(t, filesystem.UsedBytes.GetValue() > 0, "nothing used: %v", filesystem)
	}
}
