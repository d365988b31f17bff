import { readdir, stat } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PodSandboxState } from '../../src/proto/enums';
import { engineGet } from '../integration/support/engine';
import type { Ledger } from './ledger';
import type { World } from './world';

const run = promisify(execFile);
const ENGINE_ID = /[0-9a-f]{64}/;
const LOOK_MS = 30_000;

interface PodAddress {
  readonly id: string;
  readonly ip: string;
  readonly hostPort: number | undefined;
}

/**
 * Checks that leases, links, cached results, handles and rules belong to live pods, and that each live pod
 * has its own.
 */
export async function networkIsWrong(world: World, ledger: Ledger): Promise<string[]> {
  const pods: PodAddress[] = [];
  const wrong: string[] = [];
  for (const [id, { hostPort }] of ledger.live) {
    const { status } = await world.client.call('PodSandboxStatus', { pod_sandbox_id: id }, LOOK_MS);
    if (status?.state !== PodSandboxState.SANDBOX_READY)
      wrong.push(`live pod ${id.slice(0, 12)} is not ready`);
    const ip = status?.network?.ip ?? '';
    if (ip === '' || pods.some((other) => other.ip === ip))
      wrong.push(`pod ${id.slice(0, 12)} has no address of its own: "${ip}"`);
    pods.push({ id, ip, hostPort });
  }
  const traces = await world.node.traces();
  return [
    ...wrong,
    ...strangeTraces(traces, pods),
    ...missingTraces(traces, pods),
    ...(await namespacesAreWrong(world, pods)),
  ];
}

function strangeTraces(traces: readonly string[], pods: readonly PodAddress[]): string[] {
  const isLive = (trace: string): boolean => pods.some(({ id }) => trace.includes(id));
  const namesLive = (rule: string): boolean =>
    isLive(rule) ||
    pods.some(({ ip }) => new RegExp(`[^0-9.]${ip.replaceAll('.', '\\.')}([^0-9]|$)`).test(rule));
  // The rules that lead to a pod's own chains name the pod.
  const usedChains = new Set<string>();
  for (const trace of traces)
    if (trace.startsWith('rule ') && namesLive(trace)) usedChains.add(/-j (\S+)/.exec(trace)?.[1] ?? '');
  return traces.filter((trace) => {
    if (trace.startsWith('link ')) return false;
    if (!trace.startsWith('rule ')) return !isLive(trace);
    return !namesLive(trace) && !usedChains.has(/-A (\S+)/.exec(trace)?.[1] ?? '');
  });
}

function missingTraces(traces: readonly string[], pods: readonly PodAddress[]): string[] {
  const links = traces.filter((trace) => trace.startsWith('link ')).length;
  const has = (...words: readonly string[]): boolean =>
    traces.some((trace) => words.every((word) => trace.includes(word)));
  return [
    ...(links === pods.length ? [] : [`${links} links for ${pods.length} pods`]),
    ...pods.flatMap(({ id, ip, hostPort }) => [
      ...['lease', 'cache', 'netns']
        .filter((kind) => !has(`${kind} `, id))
        .map((kind) => `pod ${id.slice(0, 12)} has no ${kind}`),
      ...(hostPort === undefined || has('rule ', `--dport ${hostPort} `, `--to-destination ${ip}:80`)
        ? []
        : [`no rule leads from port ${hostPort} to pod ${id.slice(0, 12)} at ${ip}`]),
    ]),
  ];
}

/** Checks that the handle leads to the namespace of the pod's process, and that eth0 there has the reported address. */
async function namespacesAreWrong({ node, engine }: World, pods: readonly PodAddress[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { id, ip } of pods) {
    const handle = node.handles.pathOf(id);
    const { State } = (await engineGet(engine.dockerHost, `/containers/${id}/json`)) as {
      State: { Pid: number };
    };
    const [held, own] = await Promise.all([stat(handle), stat(`/proc/${State.Pid}/ns/net`)]);
    if (held.ino !== own.ino) wrong.push(`the handle of pod ${id.slice(0, 12)} leads to another namespace`);
    const { stdout } = await run('nsenter', [`--net=${handle}`, 'ip', '-4', '-o', 'address', 'show', 'eth0']);
    if (!stdout.includes(` ${ip}/`)) wrong.push(`pod ${id.slice(0, 12)} is not at ${ip}: ${stdout.trim()}`);
  }
  return wrong;
}

/** Checks that files belong to live pods and containers, and that no half-written file is left. */
export async function filesAreWrong({ daemon, node }: World, ledger: Ledger): Promise<string[]> {
  const live = ledger.liveContainers;
  const wrong: string[] = [];
  for (const directory of [
    join(daemon.directory, 'state'),
    join(daemon.directory, 'cri-dockerd'),
    join(daemon.directory, 'dockershim'),
    join(node.cacheDir, 'results'),
    node.runDir,
  ]) {
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])) {
      const id = ENGINE_ID.exec(entry.name)?.[0];
      if (entry.name.includes('.tmp')) wrong.push(`${entry.name} is half written`);
      else if (id !== undefined && !live.has(id) && !ledger.live.has(id))
        wrong.push(`${join(entry.parentPath, entry.name)} belongs to no live pod or container`);
    }
  }
  return wrong;
}
