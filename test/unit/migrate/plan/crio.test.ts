import { parse } from 'smol-toml';
import { makePlan, type Plan } from '../../../../src/migrate/plan/plan';
import { CRIO_DROP_IN, CRIO_METRICS } from '../../../../src/migrate/plan/crio';
import { dockerdKeys } from '../mapping/dockerd-keys';
import { KUBELET_FILES, nodeFacts, type FakeNode } from './node-facts';

const isText = (value: unknown) => typeof value === 'string' && value !== '';
const isTrue = (value: unknown) => value === true;
const isTexts = (value: unknown) => Array.isArray(value) && value.length > 0 && value.every(isText);
const isPath = (value: unknown) => isText(value) && (value as string).startsWith('/');
const oneOf =
  (...words: string[]) =>
  (value: unknown) =>
    words.includes(value as string);

/** The part of crio.conf(5) (CRI-O f954a17e, 2026-08-21) that a plan may use, with the values it allows. */
const GRAMMAR: Record<string, (value: unknown) => boolean> = {
  'crio.root': isPath,
  'crio.storage_driver': oneOf('overlay', 'btrfs', 'zfs', 'vfs'),
  'crio.runtime.cgroup_manager': oneOf('systemd', 'cgroupfs'),
  'crio.runtime.conmon_cgroup': oneOf('pod'),
  'crio.runtime.default_runtime': isText,
  'crio.runtime.seccomp_profile': isPath,
  'crio.runtime.selinux': isTrue,
  'crio.runtime.cdi_spec_dirs': isTexts,
  'crio.runtime.log_level': oneOf('fatal', 'panic', 'error', 'warn', 'info', 'debug', 'trace'),
  'crio.runtime.log_to_journald': isTrue,
  'crio.runtime.default_ulimits': (value) =>
    isTexts(value) && (value as string[]).every((limit) => /^[a-z]+=-?\d+:-?\d+$/.test(limit)),
  'crio.runtime.default_capabilities': isTexts,
  'crio.runtime.default_sysctls': isTexts,
  'crio.runtime.runtimes.*.runtime_path': isPath,
  'crio.runtime.runtimes.*.runtime_type': oneOf('oci', 'vm', 'pod'),
  'crio.runtime.runtimes.*.runtime_root': isPath,
  'crio.runtime.runtimes.*.monitor_path': isPath,
  'crio.runtime.runtimes.*.runtime_config_path': isPath,
  'crio.image.pause_image': isText,
  'crio.network.network_dir': isPath,
  'crio.network.plugin_dirs': isTexts,
  'crio.metrics.enable_metrics': isTrue,
  'crio.metrics.metrics_host': isText,
  'crio.metrics.metrics_port': (value) => Number.isInteger(value),
};

function planFor(node: FakeNode): Plan {
  return makePlan({
    facts: nodeFacts(node),
    findings: [],
    target: 'cri-o',
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
  });
}

function dropIn(node: FakeNode): Record<string, unknown> {
  const plan = planFor(node);
  const [main, metrics] = [CRIO_DROP_IN, CRIO_METRICS].map((name) =>
    parse(plan.files.find(({ path }) => path === name)?.text ?? ''),
  ) as { crio?: object }[];
  return { crio: { ...main?.crio, ...metrics?.crio } };
}

function leaves(value: unknown, path: string[] = []): [string[], unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

/** All settings at once that do not exclude each other. */
function everything(): string {
  const all: Record<string, unknown> = {};
  for (const { path, sample } of dockerdKeys()) {
    if (['authorization-plugins', 'runtimes'].includes(path[0]!)) continue;
    let at = all;
    for (const key of path.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
    at[path.at(-1)!] = sample;
  }
  const runtimes = {
    kata: { runtimeType: 'io.containerd.kata.v2', options: { ConfigPath: '/etc/kata.toml' } },
    crun: { path: '/usr/bin/crun' },
  };
  return JSON.stringify({ ...all, runtimes });
}

describe("CRI-O's drop-in", () => {
  it('has only keys and values that crio.conf(5) allows', () => {
    const args = ['--pod-infra-container-image=reg/pause:1'];
    const programs = [{ name: 'cri-dockerd' as const, pid: 2, args }];
    const found = leaves(
      dropIn({
        daemonJson: everything(),
        facts: { processes: { programs, socketClients: [] }, executables: [...PROGRAMS, '/usr/bin/kata'] },
      }),
    );
    const wrong = found.filter(([path, value]) => {
      const key = path.map((part, at) => (path[at - 1] === 'runtimes' ? '*' : part)).join('.');
      return GRAMMAR[key]?.(value) !== true;
    });
    expect(wrong).toEqual([]);
    const used = new Set(
      found.map(([path]) => path.map((part, at) => (path[at - 1] === 'runtimes' ? '*' : part)).join('.')),
    );
    // conmon's group is set for cgroupfs only.
    expect(Object.keys(GRAMMAR).filter((key) => !used.has(key))).toEqual(['crio.runtime.conmon_cgroup']);
  });

  it("puts conmon into the pod's group when the driver is cgroupfs", () => {
    const kubelet = { ...nodeFacts().kubelet!, cgroupDriver: { value: 'cgroupfs', from: 'x' } };
    expect(dropIn({ facts: { kubelet } })).toMatchObject({
      crio: { runtime: { cgroup_manager: 'cgroupfs', conmon_cgroup: 'pod' } },
    });
  });
});

const CONMON = '/usr/libexec/crio/conmon';
const PROGRAMS = ['/usr/bin/crun', '/usr/bin/containerd-shim-kata-v2', CONMON];

describe('the runtimes of CRI-O', () => {
  interface Runtime {
    readonly default_runtime?: string;
    readonly runtimes?: Readonly<Record<string, object>>;
  }
  const runtimeOf = (node: FakeNode) => (dropIn(node) as { crio: { runtime: Runtime } }).crio.runtime;
  const findingOf = (node: FakeNode, id: string) =>
    planFor(node).findings.filter((finding) => finding.id === id);
  const withRuntime = (name: string, path: string) =>
    JSON.stringify({ 'default-runtime': name, runtimes: { [name]: { path } } });

  // An entry of the name `runc` would take the place of the package's, with its paths.
  it('have no entry for runc', () => {
    const packaged = '[crio.runtime.runtimes.runc]\nruntime_path = "/usr/libexec/crio/runc"\n';
    const node = { daemonJson: '{"default-runtime": "runc"}', facts: { executables: PROGRAMS } };
    expect(runtimeOf(node).runtimes).toBeUndefined();
    expect(runtimeOf(node).default_runtime).toBeUndefined();
    expect(findingOf(node, 'setting-default-runtime')).toMatchObject([{ severity: 'review' }]);
    const installed = {
      ...node,
      files: { ...KUBELET_FILES, '/etc/crio/crio.conf.d/10-crio.conf': packaged },
    };
    expect(runtimeOf(installed).runtimes).toBeUndefined();
    expect(runtimeOf(installed).default_runtime).toBe('runc');
  });

  it('name the programs that exist, and the monitor', () => {
    const executables = [...PROGRAMS, '/usr/bin/nvidia-container-runtime'];
    const daemonJson = withRuntime('nvidia', 'nvidia-container-runtime');
    expect(runtimeOf({ daemonJson, facts: { executables } })).toMatchObject({
      default_runtime: 'nvidia',
      runtimes: {
        nvidia: {
          runtime_path: '/usr/bin/nvidia-container-runtime',
          runtime_type: 'oci',
          runtime_root: '/run/crio-nvidia',
          monitor_path: CONMON,
        },
      },
    });
  });

  it.each([
    ['the program', 'nvidia-container-runtime', PROGRAMS, 'nvidia-container-runtime is not on the node'],
    ['conmon', '/usr/bin/crun', ['/usr/bin/crun'], 'no conmon in'],
  ])('are left to a person without %s', (_, path, executables, lack) => {
    const node = { daemonJson: withRuntime('x', path), facts: { executables } };
    expect(runtimeOf(node).runtimes).toBeUndefined();
    expect(runtimeOf(node).default_runtime).toBeUndefined();
    const [finding] = findingOf(node, 'setting-runtimes');
    expect(finding?.severity).toBe('change');
    expect(finding?.evidence[0]?.what).toContain(lack);
    expect(findingOf(node, 'setting-default-runtime')).toMatchObject([{ severity: 'change' }]);
  });

  it('keep an entry that CRI-O has already', () => {
    const conf = '[crio.runtime.runtimes.nvidia]\nruntime_path = "/opt/nvidia"\n';
    const node = {
      daemonJson: withRuntime('nvidia', 'nvidia-container-runtime'),
      files: { ...KUBELET_FILES, '/etc/crio/crio.conf.d/99-nvidia.conf': conf },
    };
    expect(runtimeOf(node).runtimes).toBeUndefined();
    expect(runtimeOf(node).default_runtime).toBe('nvidia');
    expect(findingOf(node, 'setting-runtimes')).toEqual([]);
  });

  it('may not get a shim whose name CRI-O does not accept', () => {
    const adviceFor = (runtimeType: string) =>
      findingOf(
        { daemonJson: JSON.stringify({ runtimes: { x: { runtimeType } } }) },
        'setting-runtimes.runtimeType',
      ).map(({ advice }) => advice);
    expect(adviceFor('io.containerd.runsc.v1')).toEqual([expect.stringContaining('may ignore this runtime')]);
    expect(adviceFor('io.containerd.kata.v2')).toEqual(['Test a pod of this runtime class.']);
  });
});
