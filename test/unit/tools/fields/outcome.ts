import { RuntimeError } from '../../../../src/lib/errors';
import type { MountRecord, SandboxRecord } from '../../../../src/store/records';
import { checkContainer } from '../../../../src/translate/container/container-check';
import { toContainerCreate } from '../../../../src/translate/container/container-create';
import { differences, type Contents } from '../../../../src/translate/shared/contents';
import { toKernelValues } from '../../../../src/translate/container/kernel-values';
import { toEngineUpdate } from '../../../../src/translate/container/resources';
import { checkSandbox, toSandboxCreate } from '../../../../src/translate/sandbox/sandbox-create';
import { containerRecord, engineFeatures, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';
import type { Message } from './samples';

const SURROUNDINGS = {
  image: 'sha256:abc',
  cgroupDriver: 'cgroupfs',
  cgroupVersion: '2',
  ipv6: true,
  oomFloor: -1000,
  apparmor: true,
  capabilities: undefined,
  hostDevices: [],
  imageIdentity: {
    user: '',
    accounts: {
      users: [
        { name: 'root', uid: 0, gid: 0 },
        { name: 'sample', uid: 5, gid: 5 },
      ],
      groups: [{ name: 'wheel', gid: 10, members: ['root'] }],
    },
  },
};

/**
 * Returns the paths of the fields that differ between two requests. A refused request counts as one without
 * fields.
 */
export function differentFields(root: Root, one: Message, other: Message): readonly string[] {
  return differences(contentsOf(root, one), contentsOf(root, other));
}

function contentsOf(root: Root, request: Message): Contents {
  try {
    return CONTENTS[root]?.(request) ?? {};
  } catch (error) {
    if (error instanceof RuntimeError) return {};
    throw error;
  }
}

/** Returns the Engine call and the work around it as text, or the error. */
export function outcome(root: Root, request: Message): string | RuntimeError {
  try {
    return OUTCOMES[root](request);
  } catch (error) {
    if (error instanceof RuntimeError) return error;
    throw error;
  }
}

function sandboxOutcome(request: Message): string {
  const { config, runtime_handler } = decoded('RunPodSandboxRequest', request);
  const checked = checkSandbox(config, runtime_handler);
  const facts = { ...SURROUNDINGS, networkMode: 'bridge', runtimes: ['runc', 'crun'], apiVersion: '1.51' };
  // Digests differ for every field, and would hide that nothing else differs.
  return JSON.stringify([checked.seccomp, toSandboxCreate({ ...checked, contents: {} }, facts, [])]);
}

/** Adds the id of an image to its mount, as the handler does. */
function found(mount: MountRecord): MountRecord {
  if (mount.image === undefined) return mount;
  const id = `sha256:${Buffer.from(mount.image.image).toString('hex').padEnd(64, '0')}`;
  return { ...mount, image: { ...mount.image, id } };
}

function containerOutcome(request: Message, pod: Partial<SandboxRecord> = { privileged: true }): string {
  const { config, sandbox_config, pod_sandbox_id } = decoded('CreateContainerRequest', request);
  const sandbox = sandboxRecord({ id: pod_sandbox_id, ...pod });
  const checked = checkContainer(config, sandbox, sandbox_config);
  const facts = {
    ...SURROUNDINGS,
    features: engineFeatures(),
    selinux: true,
    spool: { maxSize: '1m', maxFile: '2', isLog: false },
    runtime: '',
    nowMs: 1_700_000_000_000,
  };
  const mounts = checked.mounts.map(found);
  return JSON.stringify([
    checked.seccomp,
    checked.kernel,
    toContainerCreate({ ...checked, mounts, contents: {} }, sandbox, facts, []),
  ]);
}

/**
 * Returns the effect of a request on a container with a log and on a privileged one, in a pod whose record
 * has neither a log directory nor `privileged`. So the request's own `sandbox_config` may decide.
 */
export function outcomeInBarePod(request: Message): string {
  const config = request.config as Message;
  const variants = [{ log_path: 'c.log' }, { linux: { security_context: { privileged: true } } }];
  const outcomes = variants.map((variant) => {
    try {
      const bare = { privileged: false, logDirectory: '' };
      return containerOutcome({ ...request, config: { ...config, ...variant } }, bare);
    } catch (error) {
      if (error instanceof RuntimeError) return error.message;
      throw error;
    }
  });
  return outcomes.join('\n');
}

/** Returns the outcome of the values in `linux`. The handler's tests cover the rest. */
function updateOutcome(request: Message): string {
  const { linux } = decoded('UpdateContainerResourcesRequest', request);
  const { resources } = containerRecord();
  const current = { ...resources, hugepages: { '2MB': '0', '1GB': '0' } };
  if (linux === null) return 'nothing';
  const kernel = toKernelValues(linux, 'linux', current.memoryLimit);
  return JSON.stringify([toEngineUpdate(linux, current, 'linux'), kernel]);
}

const CONTENTS: Readonly<Partial<Record<Root, (request: Message) => Contents>>> = {
  RunPodSandboxRequest: (request) => {
    const { config, runtime_handler } = decoded('RunPodSandboxRequest', request);
    return checkSandbox(config, runtime_handler).contents;
  },
  CreateContainerRequest: (request) => {
    const { config, sandbox_config, pod_sandbox_id } = decoded('CreateContainerRequest', request);
    const sandbox = sandboxRecord({ id: pod_sandbox_id, privileged: true });
    return checkContainer(config, sandbox, sandbox_config).contents;
  },
};

const OUTCOMES = {
  RunPodSandboxRequest: sandboxOutcome,
  CreateContainerRequest: (request: Message) => containerOutcome(request),
  UpdateContainerResourcesRequest: updateOutcome,
};

/** The requests whose outcomes are known. */
export type Root = keyof typeof OUTCOMES;
