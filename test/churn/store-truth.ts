import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { engineGet } from '../integration/support/engine';
import type { Ledger } from './ledger';
import type { EventsWatch } from './watchers';
import type { World } from './world';

const LOOK_MS = 30_000;

interface Summary {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
}

interface Inspect {
  readonly State: { readonly ExitCode: number; readonly StartedAt: string; readonly Pid: number };
  readonly HostConfig: { readonly CpuShares: number };
  readonly ExecIDs: readonly string[] | null;
}

export async function statusIsWrong({ client }: World): Promise<string[]> {
  const { status } = await client.call('Status', {}, LOOK_MS);
  return (status?.conditions ?? [])
    .filter(({ type, status: holds }) => ['RuntimeReady', 'NetworkReady'].includes(type) && !holds)
    .map(({ type, reason, message }) => `Status says not ${type}: ${reason} ${message}`);
}

const STATES: Readonly<Record<string, ContainerState>> = {
  created: ContainerState.CONTAINER_CREATED,
  running: ContainerState.CONTAINER_RUNNING,
  exited: ContainerState.CONTAINER_EXITED,
};

/** Checks that the store, the Engine and the driver's ledger agree. */
export async function storeIsWrong({ client, engine }: World, ledger: Ledger): Promise<string[]> {
  const wrong: string[] = [];
  const all = (await engineGet(engine.dockerHost, '/containers/json?all=1')) as Summary[];
  const { items } = await client.call('ListPodSandbox', {}, LOOK_MS);
  const { containers } = await client.call('ListContainers', {}, LOOK_MS);
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
        `${Names.join()} ${Id.slice(0, 12)} is ${State} in the Engine and "${states.get(Id) ?? 'not listed'}" in dockbridge`,
      );
    states.delete(Id);
  }
  for (const [id, state] of states)
    wrong.push(`${id.slice(0, 12)} is listed as ${state}, but the Engine does not have it`);
  const live = new Set([...ledger.live.keys(), ...ledger.liveContainers]);
  const there = new Set(all.map(({ Id }) => Id));
  for (const id of ledger.owed)
    if (!there.has(id)) wrong.push(`${id.slice(0, 12)} was acknowledged, but is gone`);
  for (const { Id, Names } of all) {
    if (ledger.removed.has(Id))
      wrong.push(`${Names.join()} ${Id.slice(0, 12)} was removed, but still exists`);
    else if (!live.has(Id)) wrong.push(`${Names.join()} ${Id.slice(0, 12)} belongs to no live pod`);
  }
  return wrong;
}

/** Checks that ContainerStatus and the Engine agree about each container, and that no exec still runs in it. */
export async function containersAreWrong({ client, engine }: World, ledger: Ledger): Promise<string[]> {
  const wrong: string[] = [];
  for (const id of ledger.liveContainers) {
    const name = id.slice(0, 12);
    const inspect = (await engineGet(engine.dockerHost, `/containers/${id}/json`)) as Inspect;
    const { status } = await client.call('ContainerStatus', { container_id: id }, LOOK_MS);
    const startedMs = Number((status?.started_at.toString() ?? '0').slice(0, -6));
    if (startedMs !== Date.parse(inspect.State.StartedAt))
      wrong.push(`${name} started at ${startedMs}, but at ${inspect.State.StartedAt} in the Engine`);
    if (status?.state === ContainerState.CONTAINER_EXITED && status.exit_code !== inspect.State.ExitCode)
      wrong.push(`${name} has exit code ${status.exit_code}, but ${inspect.State.ExitCode} in the Engine`);
    const shares = status?.resources?.linux?.cpu_shares.toString();
    if (shares !== String(inspect.HostConfig.CpuShares))
      wrong.push(`${name} has ${shares ?? 'no'} shares, but ${inspect.HostConfig.CpuShares} in the Engine`);
    for (const exec of inspect.ExecIDs ?? []) {
      const { Running } = (await engineGet(engine.dockerHost, `/exec/${exec}/json`)) as { Running: boolean };
      if (Running) wrong.push(`exec ${exec.slice(0, 12)} in ${name} still runs`);
    }
  }
  return wrong;
}

/** Checks that the last event of each container and sandbox matches its state. */
export async function eventsAreWrong({ client }: World, events: EventsWatch): Promise<string[]> {
  const last = events.lastWords();
  const { items } = await client.call('ListPodSandbox', {}, LOOK_MS);
  const { containers } = await client.call('ListContainers', {}, LOOK_MS);
  const wanted = new Map<string, string>();
  for (const { id, state } of items)
    wanted.set(id, state === PodSandboxState.SANDBOX_READY ? 'started' : 'stopped');
  for (const { id, state } of containers) wanted.set(id, EVENTS[state] ?? String(state));
  return [...last]
    .filter(([id, event]) => event !== (wanted.get(id) ?? 'deleted'))
    .map(
      ([id, event]) =>
        `the last event of ${id.slice(0, 12)} is "${event}", and not "${wanted.get(id) ?? 'deleted'}"`,
    );
}

const EVENTS: Readonly<Record<number, string>> = {
  [ContainerState.CONTAINER_CREATED]: 'created',
  [ContainerState.CONTAINER_RUNNING]: 'started',
  [ContainerState.CONTAINER_EXITED]: 'stopped',
};
