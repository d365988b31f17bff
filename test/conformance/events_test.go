package conformance

import (
	"context"
	"testing"

	"dockbridge.test/conformance/internal/check"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestEvents(t *testing.T) {
	n := env.New(t)
	ctx, cancel := context.WithCancel(n.Context())
	defer cancel()
	events := make(chan *cri.ContainerEventResponse, 4096)
	connected, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- n.Runtime.GetContainerEvents(ctx, events, func(cri.RuntimeService_GetContainerEventsClient) { close(connected) })
	}()
	select {
	case <-connected:
	case err := <-ended:
		t.Fatalf("GetContainerEvents: %v", err)
	}
	pod := n.Pod()
	// No message marks the beginning of the stream, so events before this one may be missing.
	expect(t, events, ended, pod.ID, cri.ContainerEventType_CONTAINER_STARTED_EVENT)

	container := pod.Create()
	expect(t, events, ended, container.ID, cri.ContainerEventType_CONTAINER_CREATED_EVENT)
	container.Start()
	event := expect(t, events, ended, container.ID, cri.ContainerEventType_CONTAINER_STARTED_EVENT)
	check.Equal(t, "pod of the event", event.PodSandboxStatus.GetId(), pod.ID)
	check.True(t, event.CreatedAt > 0, "no time: %v", event)
	found := false
	for _, status := range event.ContainersStatuses {
		if status.Id == container.ID {
			found = true
			check.Equal(t, "state in the event", status.State, running)
		}
	}
	check.True(t, found, "the event lacks its container's status: %v", event)
	container.Stop(0)
	expect(t, events, ended, container.ID, cri.ContainerEventType_CONTAINER_STOPPED_EVENT)
	container.Remove()
	expect(t, events, ended, container.ID, cri.ContainerEventType_CONTAINER_DELETED_EVENT)
	pod.Stop()
	expect(t, events, ended, pod.ID, cri.ContainerEventType_CONTAINER_STOPPED_EVENT)
	pod.Remove()
	expect(t, events, ended, pod.ID, cri.ContainerEventType_CONTAINER_DELETED_EVENT)
}

func expect(
	t *testing.T, events chan *cri.ContainerEventResponse, ended chan error, id string, kind cri.ContainerEventType,
) *cri.ContainerEventResponse {
	t.Helper()
	ctx := withTimeout(t, check.Patience)
	for {
		select {
		case event := <-events:
			if event.ContainerId == id && event.ContainerEventType == kind {
				return event
			}
		case err := <-ended:
			t.Fatalf("the stream ended: %v", err)
		case <-ctx.Done():
			t.Fatalf("no %s of %s", kind, id)
		}
	}
}
