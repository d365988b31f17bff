import { ContainerState, PodSandboxState } from '../../../src/proto/enums';
import { containersOf } from '../../../src/server/runtime/list-containers';
import { sandboxesOf } from '../../../src/server/runtime/list-pod-sandbox';
import type { Services } from '../../../src/server/services';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { engineId } from '../support/records';
import {
  containerEvent,
  containerInspect,
  CREATED_STATE,
  EXITED_STATE,
  NETWORK,
  ownContainerInspect,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
  type SyncRoom,
} from './support/room';

/** No inspect times out during a test. */
const PATIENT = { overrides: { inspectMs: 600_000 } };
/** More containers than are inspected at a time. */
const MANY = 100;
const OTHER_SANDBOX = engineId('a2');

const idOf = (at: number): string => engineId(`c${at}f`);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
/** One pod with `count` running containers of ours. */
const runningPod = (count: number): EngineContainerInspect[] => [
  sandboxInspect(),
  ...numbers(count).map((at) => ownContainerInspect({ id: idOf(at) })),
];

let made: SyncRoom;

/**
 * Starts a link to an Engine with the containers `inspects`. Each inspect hangs until `answer` is called with
 * the container's id.
 */
function begin(
  inspects: readonly EngineContainerInspect[],
  parts: Parameters<typeof syncRoom>[1] = {},
): { answer: (id: string) => void; answerAll: () => void } {
  made = syncRoom(
    { reconnect: 2, writePatience: 5_000, factsPatience: 5_000, probeTimeout: 5_000, imagePatience: 5_000 },
    parts,
    undefined,
    PATIENT,
  );
  const gates = inspects.map(({ Id }) => [Id, gate()] as const);
  for (const inspect of inspects) made.engine.containers.set(inspect.Id, inspect);
  for (const [id, one] of gates) made.engine.gates.set(`inspectContainer ${id}`, () => one.promise);
  const answer = (id: string): void => gates.find(([which]) => which === id)?.[1].resolve();
  made.link.start();
  return { answer, answerAll: () => gates.forEach(([, one]) => one.resolve()) };
}

afterEach(() => made.link.stop());

const listContainers = () => [
  ...containersOf({ store: made.store } as unknown as Services, { filter: null }),
];
const listPods = () => [...sandboxesOf({ store: made.store } as unknown as Services, { filter: null })];
const inspected = (): string[] =>
  made.engine.calls
    .filter((call) => call.startsWith('inspectContainer'))
    .map((call) => call.split(' ')[1] ?? '');
/** Returns whether the promise has resolved after all pending work is done. */
async function isSettled(work: Promise<unknown>): Promise<boolean> {
  let done = false;
  work.then(
    () => (done = true),
    () => undefined,
  );
  await settle();
  return done;
}

it('all running containers are listed after one call, while all inspects hang', async () => {
  begin(runningPod(MANY));
  await made.link.whenListed('container');
  expect(made.engine.count('listContainers')).toBe(1);
  expect(made.engine.calls.filter((call) => !call.startsWith('inspect')).sort()).toEqual(
    ['events', 'info', 'listContainers', 'listImages', 'version'].sort(),
  );
  expect(made.store.containers.size).toBe(0);
  const listed = listContainers();
  expect(listed.map(({ id }) => id)).toEqual(numbers(MANY).map(idOf));
  expect(listed[0]).toMatchObject({
    pod_sandbox_id: SANDBOX_ID,
    metadata: { name: 'app', attempt: 0 },
    image: { image: 'busybox:1', user_specified_image: 'busybox:1' },
    image_id: `sha256:${engineId('1')}`,
    state: ContainerState.CONTAINER_RUNNING,
  });
  expect(listed[0]?.created_at?.toString()).toBe('1700000000000000009');
  // Nothing else is answered from so little data.
  expect(made.link.hasSynced).toBe(false);
  expect(await isSettled(made.link.whenSyncedOnce())).toBe(false);
  expect(await isSettled(made.link.whenConnected())).toBe(false);
});

it('a running container has the same answers before and after its inspect', async () => {
  const { answerAll } = begin(runningPod(3));
  await made.link.whenListed('container');
  const before = listContainers();
  answerAll();
  await made.link.whenReady();
  expect(made.store.listed.size).toBe(0);
  expect(listContainers()).toEqual(before);
});

it('nothing is listed before the Engine has listed', async () => {
  const listed = gate();
  begin(runningPod(2));
  made.engine.gates.set('listContainers', () => listed.promise);
  const waiting = made.link.whenListed('container');
  expect(await isSettled(waiting)).toBe(false);
  listed.resolve();
  await waiting;
  expect(listContainers()).toHaveLength(2);
});

it('forty inspects run at a time, and the next are those that somebody waits for', async () => {
  const { answer } = begin(runningPod(MANY));
  await until(() => inspected().length === 40);
  await settle();
  expect(inspected()).toHaveLength(40);
  const asked = idOf(MANY - 1);
  expect(inspected()).not.toContain(asked);
  const status = made.link.whenContainerKnown(asked);
  expect(await isSettled(status)).toBe(false);
  answer(idOf(0));
  await until(() => inspected().length === 41);
  expect(inspected().at(-1)).toBe(asked);
  answer(asked);
  await status;
  // Two inspects were answered. The others hang, and delay nobody.
  expect(made.store.containers.size).toBe(2);
  expect(made.store.containers.get(asked)?.startedAt.isZero()).toBe(false);
  expect(listContainers()).toHaveLength(MANY);
});

it("a pod's status waits for its sandbox and all its containers, and for nothing else", async () => {
  const others = numbers(3).map((at) =>
    ownContainerInspect({ id: engineId(`d${at}`), sandboxId: OTHER_SANDBOX }),
  );
  const { answer } = begin([...runningPod(2), sandboxInspect({ id: OTHER_SANDBOX }), ...others]);
  await made.link.whenListed('container');
  const status = made.link.whenPodKnown(SANDBOX_ID);
  answer(SANDBOX_ID);
  answer(idOf(0));
  expect(await isSettled(status)).toBe(false);
  answer(idOf(1));
  await status;
  expect(made.store.containers.ofSandbox(SANDBOX_ID)).toHaveLength(2);
});

it('a call with a short id waits for all containers, because another id may begin with it too', async () => {
  const { answer, answerAll } = begin(runningPod(2));
  await made.link.whenListed('container');
  const status = made.link.whenContainerKnown(idOf(0).slice(0, 12));
  answer(idOf(0));
  expect(await isSettled(status)).toBe(false);
  answerAll();
  await status;
});

it('a call does not wait for an id that the Engine does not know', async () => {
  begin(runningPod(2));
  await made.link.whenContainerKnown(engineId('ff'));
  await made.link.whenPodKnown(engineId('ff'));
});

it('no sandbox is listed before its inspect, which shows whether its network exists', async () => {
  const network = {
    ...NETWORK,
    stateOf: ({ Id }: EngineContainerInspect) => Promise.resolve({ ready: Id !== SANDBOX_ID, ips: [] }),
  };
  const { answer } = begin([sandboxInspect(), sandboxInspect({ id: OTHER_SANDBOX })], { network });
  await made.link.whenListed('container');
  const pods = made.link.whenListed('sandbox');
  answer(OTHER_SANDBOX);
  expect(await isSettled(pods)).toBe(false);
  answer(SANDBOX_ID);
  await pods;
  expect(listPods().map(({ id, state }) => [id, state])).toEqual([
    [OTHER_SANDBOX, PodSandboxState.SANDBOX_READY],
    [SANDBOX_ID, PodSandboxState.SANDBOX_NOTREADY],
  ]);
});

const foreignLabel = ownContainerInspect();
foreignLabel.Config.Labels!['io.kubernetes.sandbox.id'] = OTHER_SANDBOX;

it.each([
  {
    desc: 'has ended, because its log has to be complete first',
    container: ownContainerInspect({ state: EXITED_STATE }),
  },
  {
    desc: 'has not started, because its start may have failed',
    container: ownContainerInspect({ state: CREATED_STATE }),
  },
  {
    desc: "is cri-dockerd's, because the list has its creation time only in seconds",
    container: containerInspect(),
  },
  {
    desc: 'has another name, because its labels may be those of an image',
    container: ownContainerInspect({ name: 'renamed' }),
  },
  { desc: 'has labels that name two sandboxes', container: foreignLabel },
])('lists wait for the inspect of a container that $desc', async ({ container }) => {
  const { answer } = begin([...runningPod(MANY), container]);
  await until(() => made.store.listed.size === MANY + 2);
  // Its inspect is among the first ones.
  await until(() => inspected().includes(container.Id));
  const waiting = made.link.whenListed('container');
  expect(await isSettled(waiting)).toBe(false);
  answer(container.Id);
  await waiting;
  expect(inspected().length).toBeLessThan(MANY);
});

it('a container that ends after the list is not reported as running', async () => {
  const { answer } = begin(runningPod(MANY));
  await made.link.whenListed('container');
  const ended = idOf(MANY - 1);
  made.engine.containers.set(ended, ownContainerInspect({ id: ended, state: EXITED_STATE }));
  made.engine.emit(containerEvent('die', { id: ended, exitCode: '3' }));
  await until(() => made.store.listed.missing('container') === 1);
  const waiting = made.link.whenListed('container');
  expect(await isSettled(waiting)).toBe(false);
  answer(ended);
  await waiting;
  expect(listContainers().find(({ id }) => id === ended)?.state).toBe(ContainerState.CONTAINER_EXITED);
});

it('a container that ended before the list arrived is not reported as running', async () => {
  const listed = gate();
  const { answer } = begin(runningPod(2));
  made.engine.gates.set('listContainers', () => listed.promise);
  await until(() => made.engine.count('listContainers') === 1);
  made.engine.emit(containerEvent('die', { id: idOf(1), exitCode: '3' }));
  await until(() => inspected().includes(idOf(1)));
  // The list still says that the container runs.
  listed.resolve();
  await until(() => made.store.listed.size > 0);
  const waiting = made.link.whenListed('container');
  expect(await isSettled(waiting)).toBe(false);
  made.engine.containers.set(idOf(1), ownContainerInspect({ id: idOf(1), state: EXITED_STATE }));
  answer(idOf(1));
  await waiting;
  expect(listContainers().map(({ state }) => state)).toEqual([
    ContainerState.CONTAINER_EXITED,
    ContainerState.CONTAINER_RUNNING,
  ]);
});

it('a container that is removed after the list is no longer listed', async () => {
  begin(runningPod(MANY));
  await made.link.whenListed('container');
  const removed = idOf(MANY - 1);
  made.engine.containers.delete(removed);
  made.engine.emit(containerEvent('destroy', { id: removed }));
  await until(() => !made.store.listed.has(removed));
  await made.link.whenListed('container');
  expect(listContainers().map(({ id }) => id)).toEqual(numbers(MANY - 1).map(idOf));
});

it('a list is complete even if the connection is lost in between, and the next connection continues', async () => {
  const { answer, answerAll } = begin(runningPod(MANY));
  await made.link.whenListed('container');
  answer(idOf(0));
  await made.link.whenContainerKnown(idOf(0));
  const [status, pods] = [made.link.whenContainerKnown(idOf(5)), made.link.whenListed('sandbox')];
  made.engine.stop();
  await until(() => made.complaints.length > 0);
  expect(listContainers()).toHaveLength(MANY);
  // While the Engine was away, this container was removed.
  made.engine.containers.delete(idOf(MANY - 1));
  made.engine.start();
  answerAll();
  await Promise.all([status, pods, made.link.whenReady()]);
  expect(listContainers()).toHaveLength(MANY - 1);
  expect([made.store.containers.size, made.store.listed.size]).toEqual([MANY - 1, 0]);
});

it('a call that takes too long is refused with the reason, and lists still work', async () => {
  begin(runningPod(2));
  await made.link.stop();
  made = syncRoom({ reconnect: 2, writePatience: 30, factsPatience: 30 }, {}, undefined, PATIENT);
  for (const inspect of runningPod(2)) made.engine.containers.set(inspect.Id, inspect);
  made.engine.gates.set('inspectContainer', () => gate().promise);
  made.link.start();
  await until(() => JSON.stringify(made.link.state).includes('the inspects of all containers'));
  for (const waiting of [made.link.whenContainerKnown(idOf(0)), made.link.whenListed('sandbox')])
    expect(await rejectionOf(waiting)).toBe(
      'UNAVAILABLE Docker Engine has not answered the inspects of all containers yet',
    );
  await made.link.whenListed('container');
  expect(listContainers()).toHaveLength(2);
});
