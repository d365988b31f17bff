import { createInEngine, settleExisting, SpoolMode } from '../../../src/containers/creation';
import { EngineError } from '../../../src/docker/errors';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { unavailable } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import type { ContainerRecord, MountRecord } from '../../../src/store/records';
import type { CheckedContainer } from '../../../src/translate/container/container-check';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { engineId, imageRecord } from '../support/records';
import { CONTAINER_ID, containerInspect, CREATED_STATE, roomWith } from '../sync/support/room';

const { signal } = sharedAbortController();
const CONTENTS = { image: 'aaaa', command: 'bbbb' };
const [OLD_IMAGE, NEW_IMAGE] = [`sha256:${engineId('1')}`, `sha256:${engineId('2')}`];

/** Returns a container that an earlier call created and never started. */
async function leftover(change: Partial<ContainerRecord> = {}) {
  const room = roomWith(containerInspect({ state: CREATED_STATE }));
  await room.life.refresh(CONTAINER_ID);
  const known = { ...room.store.containers.get(CONTAINER_ID)!, contents: CONTENTS, ...change };
  room.store.containers.put(known);
  const removeContainer = jest.fn<Promise<void>, [id: string, options: unknown]>(() => Promise.resolve());
  const services = { docker: { ...room.docker, removeContainer }, store: room.store, life: room.life };
  const settleFor = (contents: Readonly<Record<string, string>> = CONTENTS) =>
    settleExisting(services, known, { contents } as unknown as CheckedContainer, signal);
  return { ...room, removeContainer, settleFor };
}

const imageMount = (image: string, id: string): MountRecord => ({
  ...{ containerPath: '/data', hostPath: '', readonly: true, selinuxRelabel: false },
  ...{ propagation: 0, recursiveReadOnly: false },
  image: { image, userSpecified: image, annotations: {}, subPath: '', id },
});
const hostMount: MountRecord = {
  ...{ containerPath: '/host', hostPath: '/host', readonly: true, selinuxRelabel: false },
  ...{ propagation: 0, recursiveReadOnly: false },
};

describe('the container that an earlier call left under the wanted name', () => {
  it('is removed only if nobody has started it, and its record goes before a new one is created', async () => {
    const { settleFor, removeContainer, store, checkpoints } = await leftover();
    const removed = gate();
    checkpoints.remove = () => removed.promise;
    let isDone = false;
    const settling = settleFor({ ...CONTENTS, command: 'cccc' }).then((result) => {
      isDone = true;
      return result;
    });
    await until(() => removeContainer.mock.calls.length === 1);
    await settle();
    expect([removeContainer.mock.calls, isDone]).toEqual([
      [[CONTAINER_ID, { signal, ifStopped: true }]],
      false,
    ]);
    removed.resolve();
    expect([await settling, store.containers.size]).toEqual([undefined, 0]);
  });

  it('stays when somebody has started it meanwhile, and the refusal names the running container', async () => {
    const { settleFor, removeContainer, store, engine } = await leftover();
    removeContainer.mockImplementation(() => {
      engine.containers.set(CONTAINER_ID, containerInspect());
      return Promise.reject(new EngineError('FAILED_PRECONDITION', 409, 'is running'));
    });
    expect(await rejectionOf(settleFor({ image: 'dddd', command: 'cccc' }))).toBe(
      `ALREADY_EXISTS container app attempt 0 already exists in this sandbox as ${CONTAINER_ID} (running) and differs in command, image; use another attempt`,
    );
    expect(store.containers.get(CONTAINER_ID)?.state).toBe('running');
  });

  it('stays when the Engine cannot remove it, and the error contains the Engine’s words', async () => {
    const { settleFor, removeContainer, store, engine } = await leftover();
    const before = engine.count('inspectContainer');
    removeContainer.mockRejectedValue(new EngineError('UNKNOWN', 500, 'device is busy'));
    expect(await rejectionOf(settleFor({ ...CONTENTS, command: 'cccc' }))).toBe('UNKNOWN device is busy');
    expect([store.containers.size, engine.count('inspectContainer')]).toEqual([1, before]);
  });

  it('counts as missing when it is gone before dockbridge inspects it', async () => {
    const { settleFor, removeContainer, store } = await leftover();
    store.containers.delete(CONTAINER_ID);
    expect([await settleFor(), removeContainer.mock.calls]).toEqual([undefined, []]);
  });

  it.each([
    { desc: 'the image is the same', image: OLD_IMAGE, mounts: [], kept: true },
    { desc: 'only the name of the image differs', image: undefined, mounts: [], kept: true },
    { desc: 'the image name refers to another image now', image: NEW_IMAGE, mounts: [], kept: false },
    {
      desc: 'the image of a mount is the same',
      image: OLD_IMAGE,
      mounts: [hostMount, imageMount('busybox:latest', OLD_IMAGE)],
      kept: true,
    },
    {
      desc: 'the image name of a mount refers to another image now',
      image: OLD_IMAGE,
      mounts: [hostMount, imageMount('busybox:latest', NEW_IMAGE)],
      kept: false,
    },
  ])('is used only if the images are the same: $desc', async ({ image, mounts, kept }) => {
    const { settleFor, store, removeContainer } = await leftover({
      ...{ image: 'busybox:latest', imageId: OLD_IMAGE, mounts },
    });
    if (image !== undefined) store.images.put(imageRecord({ id: image, repoTags: ['busybox:latest'] }));
    expect(await settleFor()).toBe(kept ? CONTAINER_ID : undefined);
    expect(removeContainer).toHaveBeenCalledTimes(kept ? 0 : 1);
  });

  it('is refused with all differing fields, in order, when it runs', async () => {
    const { settleFor, store } = await leftover({
      ...{ state: 'running', image: 'busybox:latest', imageId: OLD_IMAGE },
      mounts: [hostMount, imageMount('busybox:latest', OLD_IMAGE)],
    });
    store.images.put(imageRecord({ id: NEW_IMAGE, repoTags: ['busybox:latest'] }));
    expect(await rejectionOf(settleFor({ ...CONTENTS, tty: 'eeee' }))).toContain(
      '(running) and differs in config.image, config.mounts[1].image, tty; use another attempt',
    );
  });
});

describe('a failed create call', () => {
  const body = { Image: 'sha256:abc', Labels: {}, HostConfig: {} };
  const NAME = containerInspect().Name.slice(1);
  const failing = (error: Error) => {
    const room = roomWith(containerInspect({ state: CREATED_STATE }));
    const docker = { ...room.docker, createContainer: () => Promise.reject(error) };
    const debug = jest.fn<undefined, Parameters<typeof silentLogger.debug>>(() => undefined);
    const logger = { ...silentLogger, debug };
    const services = { docker, life: room.life, logger, spoolMode: new SpoolMode(logger) };
    return { ...room, debug, create: () => createInEngine(services, NAME, body, signal) };
  };

  it('may have succeeded although its answer was lost, and then dockbridge finds the container', async () => {
    const { create, store } = failing(unavailable('torn'));
    expect(await rejectionOf(create())).toBe('UNAVAILABLE torn');
    await until(() => store.containers.size === 1);
  });

  it('leaves nothing behind when the Engine refuses it', async () => {
    const { create, engine } = failing(new EngineError('INVALID_ARGUMENT', 400, 'no such runtime'));
    expect(await rejectionOf(create())).toBe('INVALID_ARGUMENT no such runtime');
    await settle();
    expect(engine.calls).toEqual([]);
  });

  it('may leave a container that cannot be looked up, which dockbridge only reports', async () => {
    const { create, engine, debug } = failing(unavailable('torn'));
    engine.down = true;
    expect(await rejectionOf(create())).toBe('UNAVAILABLE torn');
    await until(() => debug.mock.calls.length > 0);
    const [message, fields] = debug.mock.calls[0] ?? [];
    expect([message?.(), fields?.()]).toEqual([
      'Cannot check what a failed create call left behind',
      { name: NAME, error: expect.stringContaining('does not answer') as string },
    ]);
  });
});
