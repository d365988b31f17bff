import type { cri } from '../../proto';
import type { FieldsOf } from './coverage';

export const LINUX_CONTAINER_RESOURCES: FieldsOf<cri.ILinuxContainerResources> = {
  cpu_period: { becomes: '`CpuPeriod`' },
  cpu_quota: { becomes: '`CpuQuota`' },
  cpu_shares: { becomes: '`CpuShares`' },
  memory_limit_in_bytes: { becomes: '`Memory`' },
  oom_score_adj: {
    becomes: '`OomScoreAdj`, raised to what dockbridge itself may set',
    except: 'not -1000 to 1000',
  },
  cpuset_cpus: { becomes: '`CpusetCpus`', except: 'what is no list of numbers' },
  cpuset_mems: { becomes: '`CpusetMems`', except: 'what is no list of numbers' },
  hugepage_limits: { refused: 'Docker Engine cannot limit huge pages (a limit of 0 asks for nothing)' },
  unified: {
    becomes: '`MemorySwap` for `memory.swap.max`; `memory.oom.group` is left to the kernel',
    except: 'all other keys: Docker Engine takes no raw cgroup v2 values',
  },
  memory_swap_limit_in_bytes: { becomes: '`MemorySwap`; 0 with a memory limit allows no swap' },
};

export const HUGEPAGE_LIMIT: FieldsOf<cri.IHugepageLimit> = {
  page_size: { informs: 'names the limit beside it' },
  limit: { refused: 'all but 0: Docker Engine cannot limit huge pages' },
};

export const UPDATE_CONTAINER_RESOURCES_REQUEST: FieldsOf<cri.IUpdateContainerResourcesRequest> = {
  container_id: { becomes: 'the container of `POST /containers/{id}/update`' },
  linux: {
    becomes:
      'the body of the update: see LinuxContainerResources; what is 0 or empty stays as it is, nil changes nothing',
  },
  windows: { refused: 'this is a Linux node' },
  annotations: { refused: 'nothing here would look at them; kubelet sends none' },
};

export const UPDATE_POD_SANDBOX_RESOURCES_REQUEST: FieldsOf<cri.IUpdatePodSandboxResourcesRequest> = {
  pod_sandbox_id: { becomes: 'the pod, which must exist' },
  overhead: { informs: 'kubelet has written the pod’s cgroup, which it makes itself, before it tells' },
  resources: { informs: 'kubelet has written the pod’s cgroup, which it makes itself, before it tells' },
};
