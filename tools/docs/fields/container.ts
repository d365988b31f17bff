import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const CREATE_CONTAINER_REQUEST: FieldsOf<cri.ICreateContainerRequest> = {
  pod_sandbox_id: {
    becomes: 'label `io.kubernetes.sandbox.id`, and the namespaces that the container joins',
  },
  config: {
    becomes:
      'the body of the create call: see ContainerConfig; label `io.dockbridge.cri`: a digest of each field. A container of this name and attempt that was never started is returned when it has the same contents, else replaced',
    except: 'a name and attempt that was started: ALREADY_EXISTS, which names the fields that differ',
  },
  sandbox_config: {
    informs: 'what RunPodSandbox was given decides',
    but: {
      log_directory:
        'the directory of the CRI log, for a pod that cri-dockerd made and that has none recorded',
      'linux.security_context.privileged':
        'if it is set here, the container may be privileged, although the sandbox was not created privileged',
    },
  },
};

export const CONTAINER_CONFIG: FieldsOf<cri.IContainerConfig> = {
  metadata: {
    becomes: 'the Engine name `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`; label `io.dockbridge.cri`',
  },
  image: { becomes: '`Image`: see ImageSpec' },
  command: { becomes: '`Entrypoint`; without `args` the image’s CMD is dropped' },
  args: { becomes: '`Cmd`' },
  working_dir: { becomes: '`WorkingDir`', except: 'a relative path' },
  envs: { becomes: '`Env`: see KeyValue' },
  mounts: { becomes: '`HostConfig.Mounts`: see Mount; label `io.dockbridge.cri`' },
  devices: { becomes: '`HostConfig.Devices`: see Device' },
  labels: { becomes: '`Labels`, by the same keys' },
  annotations: { becomes: '`Labels`, with the prefix `annotation.`' },
  log_path: {
    becomes: 'label `io.kubernetes.container.logpath`; the CRI log file',
    except: 'a path that leaves the pod’s log directory',
  },
  stdin: { becomes: '`OpenStdin`' },
  stdin_once: { becomes: '`StdinOnce`' },
  tty: { becomes: '`Tty`' },
  linux: { becomes: 'see LinuxContainerConfig' },
  windows: { refused: 'this is a Linux node' },
  CDI_devices: {
    becomes:
      '`HostConfig.DeviceRequests` with the driver `cdi`; variables that a specification adds reach the container, not what is executed in it',
    needs: 'Engine 25.0 (API 1.44) with the feature `cdi`, on by default from 28.2 on',
  },
  stop_signal: { becomes: '`StopSignal`; 0 is the image’s', except: 'an unknown number' },
};

export const CONTAINER_METADATA: FieldsOf<cri.IContainerMetadata> = {
  name: { becomes: 'second part of the Engine name' },
  attempt: { becomes: 'sixth part of the Engine name' },
};

/** The image of a container or of an image mount. */
export const IMAGE_SPEC: FieldsOf<cri.IImageSpec> = {
  image: { becomes: '`Image`, or `Source` of an image mount, as the id where it is known' },
  annotations: { becomes: 'label `io.dockbridge.cri`; ContainerStatus gives them back' },
  user_specified_image: {
    becomes:
      'label `io.dockbridge.cri`; ContainerStatus and ListContainers give it back, also as `image.image`',
  },
  runtime_handler: { refused: 'a handler other than the pod’s' },
  image_ref: { informs: 'only answers of the runtime set it' },
};

export const KEY_VALUE: FieldsOf<cri.IKeyValue> = {
  key: { becomes: 'the name in `Env`', except: 'empty, or with `=`' },
  value: { becomes: 'the value in `Env`', except: 'bytes that are not UTF-8: the Engine API is JSON' },
};

export const DEVICE: FieldsOf<cri.IDevice> = {
  container_path: {
    becomes: '`PathInContainer`',
    except: 'a relative path; `/`; the place of another device',
  },
  host_path: { becomes: '`PathOnHost`', except: 'a relative path' },
  permissions: { becomes: '`CgroupPermissions`', except: 'not made of r, w and m' },
};

export const LINUX_CONTAINER_CONFIG: FieldsOf<cri.ILinuxContainerConfig> = {
  resources: { becomes: 'see LinuxContainerResources' },
  security_context: { becomes: 'see LinuxContainerSecurityContext' },
};
