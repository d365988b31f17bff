import {
  CONTAINER_CONFIG,
  CONTAINER_METADATA,
  CREATE_CONTAINER_REQUEST,
  DEVICE,
  IMAGE_SPEC,
  KEY_VALUE,
  LINUX_CONTAINER_CONFIG,
} from './container';
import type { Coverage } from './coverage';
import { CDI_DEVICE, MOUNT } from './mounts';
import {
  HUGEPAGE_LIMIT,
  LINUX_CONTAINER_RESOURCES,
  UPDATE_CONTAINER_RESOURCES_REQUEST,
  UPDATE_POD_SANDBOX_RESOURCES_REQUEST,
} from './resources';
import {
  DNS_CONFIG,
  LINUX_POD_SANDBOX_CONFIG,
  POD_SANDBOX_CONFIG,
  POD_SANDBOX_METADATA,
  PORT_MAPPING,
  RUN_POD_SANDBOX_REQUEST,
} from './sandbox';
import {
  CAPABILITY,
  INT64_VALUE,
  LINUX_CONTAINER_SECURITY_CONTEXT,
  LINUX_SANDBOX_SECURITY_CONTEXT,
  NAMESPACE_OPTION,
  SECURITY_PROFILE,
  SELINUX_OPTION,
  USER_NAMESPACE,
} from './security';

/**
 * The treatment of each field, by message name. A test checks that the table has every message and field of
 * these requests that CRI's own description has.
 */
export const COVERAGE: Readonly<Record<string, Readonly<Record<string, Coverage>>>> = {
  RunPodSandboxRequest: RUN_POD_SANDBOX_REQUEST,
  PodSandboxConfig: POD_SANDBOX_CONFIG,
  PodSandboxMetadata: POD_SANDBOX_METADATA,
  DNSConfig: DNS_CONFIG,
  PortMapping: PORT_MAPPING,
  LinuxPodSandboxConfig: LINUX_POD_SANDBOX_CONFIG,
  LinuxSandboxSecurityContext: LINUX_SANDBOX_SECURITY_CONTEXT,
  CreateContainerRequest: CREATE_CONTAINER_REQUEST,
  ContainerConfig: CONTAINER_CONFIG,
  ContainerMetadata: CONTAINER_METADATA,
  ImageSpec: IMAGE_SPEC,
  KeyValue: KEY_VALUE,
  Mount: MOUNT,
  Device: DEVICE,
  CDIDevice: CDI_DEVICE,
  LinuxContainerConfig: LINUX_CONTAINER_CONFIG,
  LinuxContainerSecurityContext: LINUX_CONTAINER_SECURITY_CONTEXT,
  Capability: CAPABILITY,
  NamespaceOption: NAMESPACE_OPTION,
  UserNamespace: USER_NAMESPACE,
  SELinuxOption: SELINUX_OPTION,
  SecurityProfile: SECURITY_PROFILE,
  Int64Value: INT64_VALUE,
  LinuxContainerResources: LINUX_CONTAINER_RESOURCES,
  HugepageLimit: HUGEPAGE_LIMIT,
  UpdateContainerResourcesRequest: UPDATE_CONTAINER_RESOURCES_REQUEST,
  UpdatePodSandboxResourcesRequest: UPDATE_POD_SANDBOX_RESOURCES_REQUEST,
};
