import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const LINUX_CONTAINER_RESOURCES: FieldsOf<cri.ILinuxContainerResources> = {
  cpu_period: { becomes: '`CpuPeriod`; 0 means "not set"', except: 'not 1000 to 1000000' },
  cpu_quota: { becomes: '`CpuQuota`; -1 is no quota', except: '1 to 999, and less than -1' },
  cpu_shares: { becomes: '`CpuShares`; 0 means "not set"', except: 'not 2 to 262144' },
  memory_limit_in_bytes: {
    becomes: '`Memory`',
    except: 'a negative number; the Engine refuses less than 6 MiB',
  },
  oom_score_adj: {
    becomes: '`OomScoreAdj`, raised to what dockbridge itself may set',
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
      'the Engine API has no field: written to the container’s `hugetlb` control group once it has started; 0 is left to the pod’s group, which kubelet writes',
    except: 'all but 0 on a node without `hugetlb` control groups, or for an Engine on another machine',
  },
  unified: {
    becomes:
      '`PidsLimit` for `pids.max`; with a memory limit `MemorySwap` for `memory.swap.max`; others are written to the container’s control group once it has started',
    needs: 'cgroup v2, but for those two',
    except:
      '`cgroup.*`; a container whose values the kernel refuses is stopped, and its start fails. Only `memory.oom.group`, and `memory.swap.max` of 0 where the kernel has no such file, may stay unset; dockbridge logs a line',
  },
  memory_swap_limit_in_bytes: {
    becomes: '`MemorySwap`; 0 with a memory limit allows no swap',
    except: 'less than the memory limit, or without one',
  },
};

export const HUGEPAGE_LIMIT: FieldsOf<cri.IHugepageLimit> = {
  page_size: { becomes: 'part of the file’s name', except: 'not a size such as 2MB' },
  limit: { becomes: 'the value of the file; 0 asks for nothing' },
};

export const UPDATE_CONTAINER_RESOURCES_REQUEST: FieldsOf<cri.IUpdateContainerResourcesRequest> = {
  container_id: { becomes: 'the container of `POST /containers/{id}/update`' },
  linux: {
    becomes:
      'the body of the update: see LinuxContainerResources; what is 0 or empty stays as it is, nil changes nothing; `oom_score_adj` is for the start',
    except: 'what the Engine or the kernel refuses, by the file’s name',
  },
  windows: { refused: 'this is a Linux node' },
  annotations: { refused: 'dockbridge does not use them, and kubelet sends none' },
};

export const UPDATE_POD_SANDBOX_RESOURCES_REQUEST: FieldsOf<cri.IUpdatePodSandboxResourcesRequest> = {
  pod_sandbox_id: { becomes: 'the pod, which must exist' },
  overhead: { informs: 'kubelet owns the pod’s cgroup and writes it before this call' },
  resources: { informs: 'kubelet owns the pod’s cgroup and writes it before this call' },
};
