import { SecurityProfileType, NamespaceMode, Signal } from '../../../../src/proto/enums';
import { RuntimeError } from '../../../../src/lib/errors';
import type { MountRecord } from '../../../../src/store/records';
import { checkContainer } from '../../../../src/translate/container-check';
import { toContainerCreate } from '../../../../src/translate/container-create';
import { COVERAGE } from '../../../../src/translate/fields/table';
import { toKernelValues } from '../../../../src/translate/kernel-values';
import { toEngineUpdate } from '../../../../src/translate/resources';
import { checkSandbox, toSandboxCreate } from '../../../../src/translate/sandbox-create';
import { readTable, type Row } from '../../proto/cri-table';
import { containerRecord, engineFeatures, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

type Message = Record<string, unknown>;

/** A field of a request, by the way to it from the request's root. */
interface Place {
  readonly root: keyof typeof OUTCOMES;
  readonly way: readonly Row[];
}

const FIELDS = readTable().filter(({ kind }) => kind === 'field');
const MESSAGES = new Set(FIELDS.map(({ parent }) => parent));

/** What a message needs to be a valid one, whatever field of it is tried. */
const VALID: Readonly<Record<string, Message>> = {
  PodSandboxMetadata: { name: 'pod', namespace: 'ns', uid: 'u' },
  PodSandboxConfig: { metadata: { name: 'pod', namespace: 'ns', uid: 'u' } },
  ContainerMetadata: { name: 'c' },
  ContainerConfig: { metadata: { name: 'c' }, image: { image: 'busybox' } },
  CreateContainerRequest: {
    pod_sandbox_id: 's1',
    config: { metadata: { name: 'c' }, image: { image: 'busybox' } },
  },
  RunPodSandboxRequest: { config: { metadata: { name: 'pod', namespace: 'ns', uid: 'u' } } },
  ImageSpec: { image: 'busybox' },
  KeyValue: { key: 'K' },
  Mount: { container_path: '/c', host_path: '/h' },
  Device: { container_path: '/dev/c', host_path: '/dev/h', permissions: 'r' },
  CDIDevice: { name: 'vendor.com/class=1' },
  PortMapping: { host_port: 80, container_port: 80 },
  HugepageLimit: { page_size: '2MB', limit: 4096 },
  SecurityProfile: { profile_type: SecurityProfileType.Localhost, localhost_ref: '/profile' },
  UserNamespace: { mode: NamespaceMode.NODE },
};

/** Values that mean something where the type's own sample does not. */
const VALUES: Readonly<Record<string, unknown>> = {
  'RunPodSandboxRequest.runtime_handler': 'crun',
  'PodSandboxConfig.log_directory': '/logs',
  'PortMapping.container_port': 81,
  'PortMapping.host_port': 81,
  'LinuxPodSandboxConfig.cgroup_parent': '/kubepods',
  'LinuxSandboxSecurityContext.seccomp_profile_path': 'localhost//profile',
  'LinuxContainerSecurityContext.seccomp_profile_path': 'localhost//profile',
  'LinuxContainerSecurityContext.apparmor_profile': 'localhost/profile',
  'SecurityProfile.profile_type': SecurityProfileType.Unconfined,
  'SecurityProfile.localhost_ref': '/other',
  'SELinuxOption.level': 's0:c1',
  'Capability.add_capabilities': ['NET_ADMIN'],
  'Capability.drop_capabilities': ['NET_RAW'],
  'NamespaceOption.network': NamespaceMode.NODE,
  'NamespaceOption.pid': NamespaceMode.NODE,
  'NamespaceOption.ipc': NamespaceMode.NODE,
  'UserNamespace.mode': NamespaceMode.POD,
  'ContainerConfig.log_path': 'c.log',
  'ContainerConfig.working_dir': '/work',
  'ContainerConfig.stop_signal': Signal.SIGNAL_SIGUSR1,
  'CDIDevice.name': 'vendor.com/class=2',
  'Mount.container_path': '/other',
  'Mount.host_path': '/other',
  'Device.container_path': '/dev/other',
  'Device.host_path': '/dev/other',
  'Device.permissions': 'rw',
  'LinuxContainerResources.cpuset_cpus': '0',
  'LinuxContainerResources.cpuset_mems': '0',
  'HugepageLimit.page_size': '1GB',
  'LinuxContainerResources.hugepage_limits': [{ page_size: '2MB', limit: 1 }],
  'LinuxContainerResources.unified': { 'memory.high': '4096' },
};

/** What else must be said for a field to mean something. */
const BESIDE: Readonly<Record<string, Message>> = {
  'LinuxSandboxSecurityContext.run_as_group': { run_as_user: { value: 1 } },
  'LinuxContainerSecurityContext.run_as_group': { run_as_user: { value: 1 } },
  'LinuxSandboxSecurityContext.supplemental_groups_policy': { run_as_user: { value: 1 } },
  'NamespaceOption.target_id': { pid: NamespaceMode.TARGET },
  'Mount.recursive_read_only': { readonly: true },
  'Mount.image': { readonly: true, host_path: '' },
  'Mount.image_sub_path': { readonly: true, host_path: '', image: { image: 'busybox' } },
};

/** Fields of a message that serves several, which one of them refuses though the table's row says what others do. */
const REFUSED_HERE = new Set([
  'RunPodSandboxRequest.config.linux.security_context.namespace_options.target_id',
]);

/** The Engine sets it when a container starts; the row of `linux` says so. */
const ONLY_AT_THE_START = 'UpdateContainerResourcesRequest.linux.oom_score_adj';

function placesBelow(root: Place['root'], message: string, way: readonly Row[]): Place[] {
  return FIELDS.filter(({ parent }) => parent === message).flatMap((field) => {
    const place = { root, way: [...way, field] };
    const coverage = COVERAGE[message]?.[field.name];
    const goesOn = MESSAGES.has(field.type) && coverage !== undefined && 'becomes' in coverage;
    return goesOn ? placesBelow(root, field.type, place.way) : [place];
  });
}

function keyOf({ way }: Place): string {
  const field = way.at(-1)!;
  return `${field.parent}.${field.name}`;
}

function nameOf({ root, way }: Place): string {
  return [root, ...way.map(({ name }) => name)].join('.');
}

function sample({ type, label }: Row): unknown {
  if (label === 'map') return { key: 'value' };
  const one = MESSAGES.has(type)
    ? { ...VALID[type] }
    : ({ string: 'sample', bool: true, bytes: Buffer.from('sample') }[type] ?? 1);
  return label === 'repeated' ? [one] : one;
}

/** A valid request in which `place` is reachable; with `value`, that is what it holds. */
function requestFor(place: Place, value?: unknown): Message {
  const request: Message = { ...VALID[place.root] };
  let message = request;
  place.way.forEach((field, depth) => {
    const key = `${field.parent}.${field.name}`;
    if (!REFUSED_HERE.has(nameOf(place))) Object.assign(message, BESIDE[key]);
    if (depth === place.way.length - 1) {
      if (value !== undefined) message[field.name] = value;
      return;
    }
    const next: Message = { ...VALID[field.type] };
    message[field.name] = field.label === 'repeated' ? [next] : next;
    message = next;
  });
  return request;
}

const SURROUNDINGS = {
  image: 'sha256:abc',
  cgroupDriver: 'cgroupfs',
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

/** All that a request makes of the Engine's call and of the work around it, as text; or the error. */
function outcome(root: Place['root'], request: Message): string | RuntimeError {
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
  return JSON.stringify([checked.seccomp, toSandboxCreate(checked, facts, [])]);
}

/** As the handler looks images up. */
function found(mount: MountRecord): MountRecord {
  if (mount.image === undefined) return mount;
  const id = `sha256:${Buffer.from(mount.image.image).toString('hex').padEnd(64, '0')}`;
  return { ...mount, image: { ...mount.image, id } };
}

function containerOutcome(request: Message): string {
  const { config, sandbox_config, pod_sandbox_id } = decoded('CreateContainerRequest', request);
  const sandbox = sandboxRecord({ id: pod_sandbox_id, privileged: true });
  const checked = checkContainer(config, sandbox, sandbox_config);
  const facts = {
    ...SURROUNDINGS,
    features: engineFeatures(),
    selinux: true,
    spool: { maxSize: '1m', maxFile: '2' },
    runtime: '',
  };
  const mounts = checked.mounts.map(found);
  return JSON.stringify([
    checked.seccomp,
    checked.kernel,
    toContainerCreate({ ...checked, mounts }, sandbox, facts, []),
  ]);
}

/** Of the part that holds values; the handler's tests see to the rest. */
function updateOutcome(request: Message): string {
  const { linux } = decoded('UpdateContainerResourcesRequest', request);
  const { resources } = containerRecord();
  const current = { ...resources, hugepages: { '2MB': '0', '1GB': '0' } };
  if (linux === null) return 'nothing';
  const kernel = toKernelValues(linux, 'linux', current.memoryLimit);
  return JSON.stringify([toEngineUpdate(linux, current, 'linux'), kernel]);
}

const OUTCOMES = {
  RunPodSandboxRequest: sandboxOutcome,
  CreateContainerRequest: containerOutcome,
  UpdateContainerResourcesRequest: updateOutcome,
};

describe('every field of a request', () => {
  const places = [
    ...placesBelow('RunPodSandboxRequest', 'RunPodSandboxRequest', []),
    ...placesBelow('CreateContainerRequest', 'CreateContainerRequest', []),
    ...placesBelow('UpdateContainerResourcesRequest', 'UpdateContainerResourcesRequest', []).filter(
      ({ way }) => way[0]?.name === 'linux',
    ),
  ];
  const kindOf = (place: Place): string => {
    if (REFUSED_HERE.has(nameOf(place))) return 'refused';
    if (nameOf(place) === ONLY_AT_THE_START) return 'informs';
    const [message = '', field = ''] = keyOf(place).split('.');
    return Object.keys(COVERAGE[message]?.[field] ?? {})[0] ?? 'missing';
  };
  const namesOf = (kind: string): [string, Place][] =>
    places.filter((place) => kindOf(place) === kind).map((place) => [nameOf(place), place]);

  const outcomes = (place: Place): { without: string | RuntimeError; with: string | RuntimeError } => {
    const value = VALUES[keyOf(place)] ?? sample(place.way.at(-1)!);
    return {
      without: outcome(place.root, requestFor(place)),
      with: outcome(place.root, requestFor(place, value)),
    };
  };

  it('is told of', () => {
    expect(namesOf('missing')).toEqual([]);
    expect(places.length).toBeGreaterThan(110);
  });

  it.each(namesOf('becomes'))('%s has an effect', (_name, place) => {
    const { without, with: changed } = outcomes(place);
    expect(typeof changed === 'string' ? 'accepted' : changed.message).toBe('accepted');
    expect(changed).not.toEqual(without);
  });

  it.each(namesOf('refused'))('%s is refused by name', (_name, place) => {
    const { with: refusal } = outcomes(place);
    expect(refusal).toBeInstanceOf(RuntimeError);
    const { code, message } = refusal as RuntimeError;
    expect(['UNIMPLEMENTED', 'INVALID_ARGUMENT']).toContain(code);
    const [field = '', parent = ''] = place.way.map(({ name }) => name).reverse();
    expect(message).toMatch(new RegExp(`^config\\..*(${field}|${parent}(\\[\\d\\])?:)`));
  });

  it.each(namesOf('informs'))('%s is accepted, and changes nothing', (_name, place) => {
    const { without, with: changed } = outcomes(place);
    expect(changed).toEqual(without);
    expect(typeof changed).toBe('string');
  });
});
