import { EngineError } from '../../../src/docker/errors';
import { until } from '../support/async';
import {
  connected,
  CONTAINER_ID,
  containerInspect,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
} from './support/room';

const NEVER_STARTED = { Status: 'created', Pid: 0, StartedAt: '0001-01-01T00:00:00Z' };
const ENDED = { Status: 'exited', Pid: 0, FinishedAt: '2023-11-14T22:13:22.000000002Z' };
const { signal } = new AbortController();
const broken = (): Promise<void> => Promise.reject(new EngineError('UNKNOWN', 500, 'layer does not exist'));

it('a container that could not be inspected is inspected again until that succeeds', async () => {
  const room = syncRoom();
  room.engine.containers.set(CONTAINER_ID, containerInspect());
  room.engine.gates.set('inspectContainer', broken);
  await room.resync.run(true, signal);
  expect(room.store.containers.get(CONTAINER_ID)).toMatchObject({ state: 'running', spoolPath: '' });
  await room.resync.retryDoubtful(signal);
  room.engine.gates.clear();
  await room.resync.retryDoubtful(signal);
  expect(room.store.containers.get(CONTAINER_ID)?.spoolPath).toBe(containerInspect().LogPath);
  expect(room.logs.calls).toContain(`follow ${CONTAINER_ID}`);
  const before = room.engine.count('inspectContainer');
  await room.resync.retryDoubtful(signal);
  expect(room.engine.count('inspectContainer')).toBe(before);
});

it.each([
  { desc: 'the output of a start that broke off', call: 'salvage', state: NEVER_STARTED },
  { desc: 'the log of an ended container', call: 'follow', state: ENDED },
])('$desc is copied in a later attempt, without another connection', async ({ call, state }) => {
  const room = syncRoom();
  const fails = (): Promise<void> => Promise.reject(new Error('EIO'));
  [room.logs.onSalvage, room.logs.onFollow] = [fails, fails];
  room.engine.containers.set(CONTAINER_ID, containerInspect({ state }));
  await room.resync.run(true, signal);
  const tries = (): number => room.logs.calls.filter((one) => one === `${call} ${CONTAINER_ID}`).length;
  expect(tries()).toBe(1);
  await room.resync.retryDoubtful(signal);
  expect(tries()).toBe(2);
  [room.logs.onSalvage, room.logs.onFollow] = [() => Promise.resolve(), () => Promise.resolve()];
  await room.resync.retryDoubtful(signal);
  expect(tries()).toBe(3);
  // At each inspect, the container had already ended.
  expect(room.logs.followed.every(({ hasEnded }) => hasEnded === true)).toBe(true);
  const inspects = room.engine.count('inspectContainer');
  await room.resync.retryDoubtful(signal);
  expect(room.engine.count('inspectContainer')).toBe(inspects);
});

it('a running sandbox that cannot be inspected does not count as dead', async () => {
  const room = syncRoom();
  room.engine.containers.set(SANDBOX_ID, sandboxInspect());
  room.engine.gates.set('inspectContainer', broken);
  await room.resync.run(true, signal);
  expect(room.store.sandboxes.get(SANDBOX_ID)).toMatchObject({ networkReady: true, ips: ['10.0.0.9'] });
});

it('containers that an Engine lost sight of come back with the next connection', async () => {
  const room = syncRoom();
  room.engine.containers.set(CONTAINER_ID, containerInspect());
  await room.resync.run(true, signal);
  room.engine.containers.clear();
  await room.resync.run(true, signal);
  expect(room.store.containers.size).toBe(0);
  room.engine.containers.set(CONTAINER_ID, containerInspect());
  await room.resync.run(true, signal);
  expect(room.store.containers.get(CONTAINER_ID)?.state).toBe('running');
});

it('a container that a list omits, but the Engine still knows, stays', async () => {
  const room = syncRoom();
  room.engine.containers.set(CONTAINER_ID, containerInspect());
  await room.resync.run(true, signal);
  const client = { ...room.engine.client, listContainers: () => Promise.resolve([]) };
  jest.spyOn(room.engine.client, 'listContainers').mockImplementation(client.listContainers);
  await room.resync.run(false, signal);
  expect(room.store.containers.get(CONTAINER_ID)?.state).toBe('running');
});

it('one damaged image neither hides the others nor keeps the node down', async () => {
  const room = syncRoom();
  room.engine.images.set('sha256:a', { Id: 'sha256:a', RepoTags: ['a:1'], Size: 1 });
  room.engine.images.set('sha256:b', { Id: 'sha256:b', RepoTags: ['b:1'], Size: 1 });
  room.engine.gates.set('inspectImage sha256:b', broken);
  await connected(room);
  expect([...room.store.images.values()].map(({ id }) => id)).toEqual(['sha256:a']);
  await room.link.stop();
});

it('an Engine that cannot list its images still runs pods, and lists the images later', async () => {
  const room = syncRoom();
  room.engine.images.set('sha256:a', { Id: 'sha256:a', RepoTags: ['a:1'], Size: 1 });
  let failures = 1;
  room.engine.gates.set('listImages', () => (failures-- > 0 ? broken() : Promise.resolve()));
  await connected(room);
  await until(() => room.store.images.size === 1);
  expect(room.engine.subscribers).toBe(1);
  await room.link.stop();
});

it('a failure to remove log positions is only logged', async () => {
  const room = syncRoom();
  room.logs.retain = () => Promise.reject(new Error('EROFS: read-only file system'));
  room.logs.forget = () => Promise.reject(new Error('EROFS: read-only file system'));
  room.engine.containers.set(CONTAINER_ID, containerInspect());
  await connected(room);
  await room.life.withContainer(CONTAINER_ID, undefined, (held) => held.forget());
  expect(room.store.containers.size).toBe(0);
  expect(room.complaints).toHaveLength(2);
  await room.link.stop();
});
