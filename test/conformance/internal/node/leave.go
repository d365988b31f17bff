package node

import (
	"context"
	"errors"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Leave removes everything that the run has made and left on the node: pods that specs could not end, and images of
// the suite's registry. No spec can make a pod afterwards.
func (e *Environment) Leave(ctx context.Context) error {
	e.making.Lock() // never unlocked
	pods, err := e.Runtime.ListPodSandbox(ctx, &cri.PodSandboxFilter{
		LabelSelector: map[string]string{"io.kubernetes.pod.namespace": "conformance"},
	})
	failures := []error{err}
	for _, pod := range pods {
		if strings.Contains(pod.Metadata.GetName(), "-"+e.run+"-") {
			failures = append(failures, e.Runtime.StopPodSandbox(ctx, pod.Id), e.Runtime.RemovePodSandbox(ctx, pod.Id))
		}
	}
	images, err := e.Images.ListImages(ctx, nil)
	failures = append(failures, err)
	for _, image := range images {
		for _, reference := range append(image.RepoTags, image.RepoDigests...) {
			if e.isOurs(reference) && !image.Pinned {
				failures = append(failures, e.Images.RemoveImage(ctx, &cri.ImageSpec{Image: reference}))
			}
		}
	}
	return errors.Join(failures...)
}

func (e *Environment) isOurs(reference string) bool {
	for _, host := range []string{e.Registry.Host, e.Registry.Alias, e.Registry.PrivateHost} {
		// A sandbox image that the runtime pulled from here stays, because the node needs it.
		if strings.HasPrefix(reference, host+"/") && !strings.HasPrefix(reference, host+"/pause") {
			return true
		}
	}
	return false
}
