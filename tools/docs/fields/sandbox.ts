import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const RUN_POD_SANDBOX_REQUEST: FieldsOf<cri.IRunPodSandboxRequest> = {
  config: {
    becomes:
      'the pause container: see PodSandboxConfig; label `io.dockbridge.cri`: a digest of each field. A ready sandbox with this name, uid and attempt and the same contents is returned; a sandbox that is not ready and has no containers is replaced',
    except:
      'contents that differ from those of a ready sandbox: ALREADY_EXISTS with the names of the differing fields',
  },
  runtime_handler: {
    becomes:
      '`HostConfig.Runtime` of the pause container and of all containers of the pod; `""` and `docker` are the default runtime',
    needs: 'Engine 23.0 (API 1.42) for names of containerd shims such as `io.containerd.runsc.v1`',
    except: 'a name that the Engine does not know',
  },
};

export const POD_SANDBOX_CONFIG: FieldsOf<cri.IPodSandboxConfig> = {
  metadata: {
    becomes: 'the Engine name `k8s_POD_<pod>_<namespace>_<uid>_<attempt>`; label `io.dockbridge.cri`',
  },
  hostname: {
    becomes: '`Hostname`; a pod on the node’s network keeps the node’s name',
    except: 'not a host name, or longer than 64 characters, or with a part longer than 63',
  },
  log_directory: {
    becomes: 'label `io.dockbridge.cri`; directory of the CRI logs of the pod’s containers',
    except: 'a relative path',
  },
  dns_config: {
    becomes:
      '`HostConfig.Dns*`, and the pod’s `resolv.conf`, which is empty if this field is empty; without this field it is a copy of the node’s file (ADR 0033)',
  },
  port_mappings: { becomes: '`HostConfig.PortBindings`, or the CNI plugin’s `portMappings`' },
  labels: { becomes: '`Labels`, by the same keys' },
  annotations: {
    becomes:
      '`Labels`, with the prefix `annotation.`; CNI plugins get the limits in the bandwidth annotations',
  },
  linux: { becomes: 'see LinuxPodSandboxConfig' },
  windows: { refused: 'this is a Linux node' },
};

export const POD_SANDBOX_METADATA: FieldsOf<cri.IPodSandboxMetadata> = {
  name: { becomes: 'third part of the Engine name' },
  uid: { becomes: 'fifth part of the Engine name' },
  namespace: { becomes: 'fourth part of the Engine name' },
  attempt: { becomes: 'sixth part of the Engine name' },
};

export const DNS_CONFIG: FieldsOf<cri.IDNSConfig> = {
  servers: { becomes: '`HostConfig.Dns`', except: 'not an IP address' },
  searches: { becomes: '`HostConfig.DnsSearch`', except: 'empty, or containing a blank' },
  options: { becomes: '`HostConfig.DnsOptions`', except: 'empty, or containing a blank' },
};

export const PORT_MAPPING: FieldsOf<cri.IPortMapping> = {
  protocol: { becomes: 'the protocol of a key of `HostConfig.PortBindings`', except: 'an unknown number' },
  container_port: { becomes: 'the port of a key of `HostConfig.PortBindings`', except: 'not 1 to 65535' },
  host_port: {
    becomes: '`HostPort`; 0 publishes nothing',
    except: 'not 0 to 65535; a port that another mapping has on the same address',
  },
  host_ip: { becomes: '`HostIp`', except: 'not an IP address' },
};

export const LINUX_POD_SANDBOX_CONFIG: FieldsOf<cri.ILinuxPodSandboxConfig> = {
  cgroup_parent: {
    becomes:
      '`HostConfig.CgroupParent` of all containers of the pod; with the cgroup driver systemd, the last slice of the path',
    except: 'containing `..`, too long for a path, or, with the cgroup driver systemd, not a slice',
  },
  security_context: { becomes: 'see LinuxSandboxSecurityContext' },
  sysctls: {
    becomes:
      '`HostConfig.Sysctls` of the pause container, whose namespaces the pod shares; an empty value is written as an empty line, which empties a list',
  },
  overhead: { informs: 'kubelet owns the pod’s cgroup and has included it there' },
  resources: { informs: 'kubelet owns the pod’s cgroup and writes it' },
};
