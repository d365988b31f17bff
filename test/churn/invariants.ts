import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { engineGet } from '../integration/support/engine';
import type { Ledger } from './kubelet';
import type { World } from './world';

/** How long cleaning up behind our back may take (ms). */
const SETTLED_WITHIN_MS = 90_000;
const ENGINE_ID = /[0-9a-f]{64}/;
/** More than this for each container and sandbox, beside BASE_DESCRIPTORS, is a leak. */
const DESCRIPTORS_EACH = 6;
const BASE_DESCRIPTORS = 80;

interface Summary {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/**
 * Looks until nothing is wrong any more, for work in the background is no fault; what is still wrong then is one.
 * Nothing but looking again tells of files, links and rules.
 */
export async function expectInvariants(world: World, ledger: Ledger, when: string): Promise<void> {
  const end = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    const wrong = await whatIsWrong(world, ledger).catch((error: unknown) => [
      `cannot look: ${String(error)}`,
    ]);
    if (wrong.length === 0) return;
    if (Date.now() > end) {
      for (const what of wrong.slice(0, 20)) world.violate(`${when}: ${what}`);
      return;
    }
    await delay(500);
  }
}

/** As kubelet's garbage collection: what belongs to no live pod is removed through CRI. */
export async function collectGarbage(world: World, ledger: Ledger): Promise<void> {
  const { items } = await world.client.call('ListPodSandbox', {});
  for (const { id } of items) {
    if (ledger.live.has(id)) continue;
    await world.client.call('StopPodSandbox', { pod_sandbox_id: id });
    await world.client.call('RemovePodSandbox', { pod_sandbox_id: id });
    ledger.removed.add(id);
  }
  const { containers } = await world.client.call('ListContainers', {});
  const live = liveContainers(ledger);
  for (const { id } of containers) {
    if (live.has(id)) continue;
    await world.client.call('RemoveContainer', { container_id: id });
    ledger.removed.add(id);
  }
}

function liveContainers({ live }: Ledger): Set<string> {
  return new Set([...live.values()].flatMap((containers) => [...containers]));
}

async function whatIsWrong(world: World, ledger: Ledger): Promise<string[]> {
  return [
    ...(await statusIsWrong(world)),
    ...(await storeIsWrong(world, ledger)),
    ...(await networkIsWrong(world, ledger)),
    ...(await filesAreWrong(world, ledger)),
    ...(await processesAreWrong(world, ledger)),
    ...(await engineCallsAreWrong(world)),
  ];
}

async function statusIsWrong({ client }: World): Promise<string[]> {
  const { status } = await client.call('Status', {}, 5_000);
  return (status?.conditions ?? [])
    .filter(({ type, status: holds }) => ['RuntimeReady', 'NetworkReady'].includes(type) && !holds)
    .map(({ type, reason, message }) => `Status says not ${type}: ${reason} ${message}`);
}

const STATES: Readonly<Record<string, ContainerState>> = {
  created: ContainerState.CONTAINER_CREATED,
  running: ContainerState.CONTAINER_RUNNING,
  exited: ContainerState.CONTAINER_EXITED,
};

/** Store = Engine = what the driver was told. */
async function storeIsWrong({ client, engine }: World, ledger: Ledger): Promise<string[]> {
  const wrong: string[] = [];
  const all = (await engineGet(engine.dockerHost, '/containers/json?all=1')) as Summary[];
  const { items } = await client.call('ListPodSandbox', {}, 5_000);
  const { containers } = await client.call('ListContainers', {}, 5_000);
  const states = new Map<string, string>();
  for (const { id, state } of items)
    states.set(id, `sandbox ${state === PodSandboxState.SANDBOX_READY ? 'ready' : 'not ready'}`);
  for (const { id, state } of containers) states.set(id, `container ${state}`);
  for (const { Id, Names, State, Labels } of all) {
    const isSandbox = Labels['io.kubernetes.docker.type'] === 'podsandbox';
    const wanted = isSandbox
      ? `sandbox ${State === 'running' ? 'ready' : 'not ready'}`
      : `container ${STATES[State] ?? State}`;
    if (states.get(Id) !== wanted)
      wrong.push(
        `${Names.join()} ${Id.slice(0, 12)} is ${State} in the Engine and "${states.get(Id) ?? 'not listed'}" here`,
      );
    states.delete(Id);
  }
  for (const [id, state] of states)
    wrong.push(`${id.slice(0, 12)} is listed as ${state}, and the Engine has it not`);
  const live = new Set([...ledger.live.keys(), ...liveContainers(ledger)]);
  const there = new Set(all.map(({ Id }) => Id));
  for (const id of live) if (!there.has(id)) wrong.push(`${id.slice(0, 12)} was acknowledged and is gone`);
  for (const { Id, Names } of all) {
    if (ledger.removed.has(Id)) wrong.push(`${Names.join()} ${Id.slice(0, 12)} was removed, and is there`);
    else if (!live.has(Id)) wrong.push(`${Names.join()} ${Id.slice(0, 12)} is nobody's`);
  }
  return wrong;
}

/** Leases, links, cached results, handles and rules are those of live pods. */
async function networkIsWrong({ node, client }: World, ledger: Ledger): Promise<string[]> {
  const ips = new Set<string>();
  for (const id of ledger.live.keys()) {
    const { status } = await client.call('PodSandboxStatus', { pod_sandbox_id: id }, 5_000);
    if (status?.state !== PodSandboxState.SANDBOX_READY) continue;
    const ip = status.network?.ip ?? '';
    if (ip === '' || ips.has(ip))
      return [`pod ${id.slice(0, 12)} has the address "${ip}", which is none or another's`];
    ips.add(ip);
  }
  const isLive = (text: string): boolean => {
    const id = ENGINE_ID.exec(text)?.[0];
    return id !== undefined && ledger.live.has(id);
  };
  const traces = await node.traces();
  const rules = traces.filter((trace) => trace.startsWith('rule '));
  const usedChains = new Set<string>();
  const namesLive = (rule: string): boolean =>
    isLive(rule) ||
    [...ips].some((ip) => new RegExp(`[^0-9.]${ip.replaceAll('.', '\\.')}([^0-9]|$)`).test(rule));
  for (const rule of rules) if (namesLive(rule)) usedChains.add(/-j (\S+)/.exec(rule)?.[1] ?? '');
  return traces
    .filter((trace) => {
      if (trace.startsWith('link ')) return false;
      if (!trace.startsWith('rule ')) return !isLive(trace);
      return !namesLive(trace) && !usedChains.has(/-A (\S+)/.exec(trace)?.[1] ?? '');
    })
    .concat(
      traces.filter((trace) => trace.startsWith('link ')).length > ips.size
        ? [`${traces.filter((trace) => trace.startsWith('link ')).length} links for ${ips.size} pods`]
        : [],
    );
}

/** Positions of logs are those of live containers, and nothing is left half written. */
async function filesAreWrong({ daemon, node }: World, ledger: Ledger): Promise<string[]> {
  const live = liveContainers(ledger);
  const wrong: string[] = [];
  for (const directory of [join(daemon.directory, 'state'), join(node.cacheDir, 'results'), node.runDir]) {
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])) {
      const id = ENGINE_ID.exec(entry.name)?.[0];
      if (entry.name.includes('.tmp')) wrong.push(`${entry.name} is half written`);
      else if (id !== undefined && !live.has(id) && !ledger.live.has(id))
        wrong.push(`${entry.name} is of nobody`);
    }
  }
  return wrong;
}

async function processesAreWrong({ daemon }: World, ledger: Ledger): Promise<string[]> {
  const wrong: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words[0] === 'sleep' && /^50000\d\d|^500\d{4}$/.test(words[1] ?? ''))
      wrong.push(`process ${pid} of a timed-out ExecSync runs on: ${words.join(' ')}`);
  }
  const descriptors = (await readdir(`/proc/${daemon.pid}/fd`)).length;
  const most = BASE_DESCRIPTORS + DESCRIPTORS_EACH * (ledger.live.size + liveContainers(ledger).size);
  if (descriptors > most) wrong.push(`the daemon holds ${descriptors} descriptors, more than ${most}`);
  return wrong;
}

/** Nothing is under way any more: no call was forgotten. */
async function engineCallsAreWrong({ node }: World): Promise<string[]> {
  const call = request({ socketPath: join(node.runDir, 'metrics.sock'), path: '/metrics' });
  call.end();
  const [reply] = (await once(call, 'response')) as [IncomingMessage];
  return (await text(reply))
    .split('\n')
    .filter((line) => line.startsWith('dockbridge_engine_calls_in_flight{') && !line.endsWith(' 0'))
    .map((line) => `an Engine call is under way at rest: ${line}`);
}
