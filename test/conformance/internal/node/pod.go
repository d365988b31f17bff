package node

import (
	"path/filepath"

	"dockbridge.test/conformance/internal/check"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Pod is a pod that runs until the spec ends.
type Pod struct {
	*Node
	ID     string
	Config *cri.PodSandboxConfig
}

// Status returns the pod's status.
func (p *Pod) Status() *cri.PodSandboxStatus {
	p.T.Helper()
	reply, err := p.Runtime.PodSandboxStatus(p.Context(), p.ID, false)
	check.NoError(p.T, err, "PodSandboxStatus")
	return reply.Status
}

// IP is the pod's first address.
func (p *Pod) IP() string {
	p.T.Helper()
	ip := p.Status().GetNetwork().GetIp()
	check.True(p.T, ip != "", "the pod has no address")
	return ip
}

// Listed returns the pod's entry in ListPodSandbox, or nil.
func (p *Pod) Listed() *cri.PodSandbox {
	p.T.Helper()
	pods, err := p.Runtime.ListPodSandbox(p.Context(), &cri.PodSandboxFilter{Id: p.ID})
	check.NoError(p.T, err, "ListPodSandbox")
	check.True(p.T, len(pods) < 2, "ListPodSandbox by id gives %d pods", len(pods))
	if len(pods) == 0 {
		return nil
	}
	return pods[0]
}

// Stop stops the pod.
func (p *Pod) Stop() {
	p.T.Helper()
	check.NoError(p.T, p.Runtime.StopPodSandbox(p.Context(), p.ID), "StopPodSandbox")
}

// Remove removes the pod.
func (p *Pod) Remove() {
	p.T.Helper()
	check.NoError(p.T, p.Runtime.RemovePodSandbox(p.Context(), p.ID), "RemovePodSandbox")
}

// ContainerConfig returns kubelet's configuration for a container of the base image that sleeps.
func (p *Pod) ContainerConfig(changes ...func(*cri.ContainerConfig)) *cri.ContainerConfig {
	name := p.Name("container")
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name},
		Image:    &cri.ImageSpec{Image: p.Base},
		Command:  []string{"sleep", "3600"},
		Labels: map[string]string{
			"io.kubernetes.container.name": name,
			"io.kubernetes.pod.name":       p.Config.Metadata.Name,
			"io.kubernetes.pod.namespace":  p.Config.Metadata.Namespace,
			"io.kubernetes.pod.uid":        p.Config.Metadata.Uid,
		},
		LogPath: filepath.Join(name, "0.log"),
		Linux: &cri.LinuxContainerConfig{
			Resources: &cri.LinuxContainerResources{},
			SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{
					Pid: cri.NamespaceMode_CONTAINER,
					// These two fields are the pod's.
					Network: p.Config.Linux.GetSecurityContext().GetNamespaceOptions().GetNetwork(),
					Ipc:     p.Config.Linux.GetSecurityContext().GetNamespaceOptions().GetIpc(),
				},
			},
		},
	}
	for _, change := range changes {
		change(config)
	}
	return config
}

// TryCreate creates a container that may be refused.
func (p *Pod) TryCreate(changes ...func(*cri.ContainerConfig)) (*Container, error) {
	p.T.Helper()
	config := p.ContainerConfig(changes...)
	if config.Image.UserSpecifiedImage == "" {
		config.Image.UserSpecifiedImage = config.Image.Image
		config.Image.Image = p.Have(config.Image.Image)
	}
	id, err := p.Runtime.CreateContainer(p.Context(), p.ID, config, p.Config)
	if err != nil {
		return nil, err
	}
	return &Container{Pod: p, ID: id, Config: config}, nil
}

// Create creates a container, which is removed with its pod.
func (p *Pod) Create(changes ...func(*cri.ContainerConfig)) *Container {
	p.T.Helper()
	container, err := p.TryCreate(changes...)
	check.NoError(p.T, err, "CreateContainer")
	return container
}

// Start creates and starts a container.
func (p *Pod) Start(changes ...func(*cri.ContainerConfig)) *Container {
	p.T.Helper()
	container := p.Create(changes...)
	container.Start()
	return container
}

// Run runs a shell script in a new container and returns its output as kubelet's log reader reads it.
func (p *Pod) Run(script string, changes ...func(*cri.ContainerConfig)) Output {
	p.T.Helper()
	container := p.Start(append([]func(*cri.ContainerConfig){Shell(script)}, changes...)...)
	status := container.Exited()
	output := container.Log()
	output.Code = int(status.ExitCode)
	return output
}

// Shell sets a shell script as the container's command.
func Shell(script string) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) { config.Command = []string{"/bin/sh", "-c", script} }
}

// Of sets the container's image, and lets the image's own command run.
func Of(reference string) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) {
		config.Image = &cri.ImageSpec{Image: reference}
		config.Command = nil
	}
}

// Security changes the security context of a container.
func Security(change func(*cri.LinuxContainerSecurityContext)) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) { change(config.Linux.SecurityContext) }
}

// PodSecurity changes the security context of a pod.
func PodSecurity(change func(*cri.LinuxSandboxSecurityContext)) func(*cri.PodSandboxConfig) {
	return func(config *cri.PodSandboxConfig) { change(config.Linux.SecurityContext) }
}

// Mount adds a mount.
func Mount(mount *cri.Mount) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) { config.Mounts = append(config.Mounts, mount) }
}

// Resources sets the resources.
func Resources(resources *cri.LinuxContainerResources) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) { config.Linux.Resources = resources }
}
