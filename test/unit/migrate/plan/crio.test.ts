import { parse } from 'smol-toml';
import { makePlan } from '../../../../src/migrate/plan/plan';
import { CRIO_DROP_IN, CRIO_METRICS } from '../../../../src/migrate/plan/crio';
import { dockerdKeys } from '../mapping/dockerd-keys';
import { nodeFacts, type FakeNode } from './node-facts';

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
  'crio.runtime.runtimes.*.runtime_config_path': isPath,
  'crio.image.pause_image': isText,
  'crio.network.network_dir': isPath,
  'crio.network.plugin_dirs': isTexts,
  'crio.metrics.enable_metrics': isTrue,
  'crio.metrics.metrics_host': isText,
  'crio.metrics.metrics_port': (value) => Number.isInteger(value),
};

function dropIn(node: FakeNode): Record<string, unknown> {
  const plan = makePlan({
    facts: nodeFacts(node),
    findings: [],
    target: 'cri-o',
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
  });
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
      dropIn({ daemonJson: everything(), facts: { processes: { programs, socketClients: [] } } }),
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

  it('defines runc when Docker names it as its default, wherever its program is', () => {
    const { crio } = dropIn({ daemonJson: '{"default-runtime": "runc"}' }) as {
      crio: { runtime: { default_runtime: string; runtimes: object } };
    };
    expect(crio.runtime.default_runtime).toBe('runc');
    expect(crio.runtime.runtimes).toEqual({ runc: { runtime_type: 'oci' } });
  });
});
