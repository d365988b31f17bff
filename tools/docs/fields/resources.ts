import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const LINUX_CONTAINER_RESOURCES: FieldsOf<cri.ILinuxContainerResources> = {
  cpu_period: { becomes: '`CpuPeriod`; 0 means "not set"', except: 'not 1000 to 1000000' },
  cpu_quota: { becomes: '`CpuQuota`; -1 is no quota', except: '1 to 999, or less than -1' },
  cpu_shares: { becomes: '`CpuShares`; 0 means "not set"', except: 'not 2 to 262144' },
  memory_limit_in_bytes: {
    becomes: '`Memory`',
    except: 'a negative number; the Engine refuses less than 6 MiB',
  },
  oom_score_adj: {
    becomes: '`OomScoreAdj`, raised to the lowest value that dockbridge itself may set',
    except: 'not -1000 to 1000',
  },
  cpuset_cpus: {
    becomes: '`CpusetCpus`',
    except: 'not a list of numbers and ranges; the Engine refuses CPUs that it does not have',
  },
  cpuset_mems: {
    becomes: '`CpusetMems`',
    except: 'not a list of numbers and ranges; the Engine refuses nodes that it does not have',
  },
  hugepage_limits: {
    becomes:
      'the Engine API has no such field, so dockbridge writes the limit to the container’s `hugetlb` control group after the start. dockbridge does not write 0, because kubelet writes it to the pod’s control group',
    except:
      'any value but 0 on a node without `hugetlb` control groups, or if the Engine is on another machine',
  },
  unified: {
    becomes:
      '`PidsLimit` for `pids.max`; with a memory limit `MemorySwap` for `memory.swap.max`; dockbridge writes all other values to the container’s control group after the start',
    needs: 'cgroup v2, except for these two keys',
    except:
      '`cgroup.*`. If the kernel refuses a value, dockbridge stops the container, and its start fails. There are two exceptions, for which dockbridge only logs a warning: `memory.oom.group`, and `memory.swap.max` with the value 0 if the kernel has no such file',
  },
  memory_swap_limit_in_bytes: {
    becomes: '`MemorySwap`; 0 with a memory limit allows no swap',
    except: 'less than the memory limit, or without a memory limit',
  },
};

export const HUGEPAGE_LIMIT: FieldsOf<cri.IHugepageLimit> = {
  page_size: { becomes: 'part of the file’s name', except: 'not a size such as 2MB' },
  limit: { becomes: 'the value of the file; 0 requests no limit' },
};

export const UPDATE_CONTAINER_RESOURCES_REQUEST: FieldsOf<cri.IUpdateContainerResourcesRequest> = {
  container_id: { becomes: 'the container of `POST /containers/{id}/update`' },
  linux: {
    becomes:
      'the body of the update: see LinuxContainerResources; values that are 0 or empty stay unchanged, and nil changes nothing; `oom_score_adj` has an effect only at the start',
    except: 'values that the Engine or the kernel refuses; the error names the file',
  },
  windows: { refused: 'this is a Linux node' },
  annotations: { refused: 'dockbridge does not use them, and kubelet sends none' },
};

export const UPDATE_POD_SANDBOX_RESOURCES_REQUEST: FieldsOf<cri.IUpdatePodSandboxResourcesRequest> = {
  pod_sandbox_id: { becomes: 'the pod, which must exist' },
  overhead: { informs: 'kubelet owns the pod’s cgroup and writes it before this call' },
  resources: { informs: 'kubelet owns the pod’s cgroup and writes it before this call' },
};
