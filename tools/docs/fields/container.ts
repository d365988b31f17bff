import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const CREATE_CONTAINER_REQUEST: FieldsOf<cri.ICreateContainerRequest> = {
  pod_sandbox_id: {
    becomes: 'label `io.kubernetes.sandbox.id`, and the namespaces that the container joins',
  },
  config: {
    becomes:
      'the body of the create call: see ContainerConfig; label `io.dockbridge.cri`: a digest of each field. If a container with this name and attempt was never started, it is returned if it has the same contents, and otherwise replaced',
    except:
      'the name and attempt of a container that was started: ALREADY_EXISTS with the names of the differing fields',
  },
  sandbox_config: {
    informs: 'the configuration in RunPodSandbox decides',
    but: {
      log_directory:
        'the directory of the CRI log, for a pod that cri-dockerd made without recording the directory',
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
      '`HostConfig.DeviceRequests` with the driver `cdi`; variables that a CDI specification adds are set for the container, but not for commands that exec runs in it',
    needs: 'Engine 25.0 (API 1.44) with the feature `cdi`, on by default from 28.2 on',
  },
  stop_signal: { becomes: '`StopSignal`; 0 means the image’s signal', except: 'an unknown number' },
};

export const CONTAINER_METADATA: FieldsOf<cri.IContainerMetadata> = {
  name: { becomes: 'second part of the Engine name' },
  attempt: { becomes: 'sixth part of the Engine name' },
};

/** The image of a container or of an image mount. */
export const IMAGE_SPEC: FieldsOf<cri.IImageSpec> = {
  image: { becomes: '`Image`, or `Source` of an image mount, as the image’s id if dockbridge knows it' },
  annotations: { becomes: 'label `io.dockbridge.cri`; ContainerStatus returns them' },
  user_specified_image: {
    becomes: 'label `io.dockbridge.cri`; ContainerStatus and ListContainers return it, also as `image.image`',
  },
  runtime_handler: { refused: 'a handler other than the pod’s' },
  image_ref: { informs: 'only answers of the runtime set it' },
};

export const KEY_VALUE: FieldsOf<cri.IKeyValue> = {
  key: { becomes: 'the name in `Env`', except: 'empty, or containing `=`' },
  value: { becomes: 'the value in `Env`', except: 'bytes that are not UTF-8: the Engine API is JSON' },
};

export const DEVICE: FieldsOf<cri.IDevice> = {
  container_path: {
    becomes: '`PathInContainer`',
    except: 'a relative path; `/`; the path of another device',
  },
  host_path: { becomes: '`PathOnHost`', except: 'a relative path' },
  permissions: { becomes: '`CgroupPermissions`', except: 'other letters than r, w and m' },
};

export const LINUX_CONTAINER_CONFIG: FieldsOf<cri.ILinuxContainerConfig> = {
  resources: { becomes: 'see LinuxContainerResources' },
  security_context: { becomes: 'see LinuxContainerSecurityContext' },
};
