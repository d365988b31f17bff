import { ContainerEventType } from '../../../src/proto/enums';
import { lifecycleEvents } from '../../../src/translate/shared/lifecycle';
import { gate, settle, until } from '../support/async';
import {
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  CREATED_STATE,
  EXITED_STATE,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
} from '../sync/support/room';

/** Returns a setup in which dockbridge knows the given containers. The calls so far are discarded. */
async function roomOf(...inspects: ReturnType<typeof containerInspect>[]) {
  const room = syncRoom();
  for (const inspect of inspects) {
    room.engine.containers.set(inspect.Id, inspect);
    await room.life.refresh(inspect.Id);
  }
  room.engine.calls.length = 0;
  room.logs.calls.length = 0;
  const container = () => room.store.containers.get(CONTAINER_ID);
  const sandbox = () => room.store.sandboxes.get(SANDBOX_ID);
  return { ...room, container, sandbox };
}

describe('ContainerEvents', () => {
  it('makes no Engine call for the event of our own start', async () => {
    const { told, engine, container } = await roomOf(containerInspect());
    const before = container();
    await told(containerEvent('start'));
    expect(engine.calls).toEqual([]);
    expect(container()).toBe(before);
  });

  it('inspects the container when somebody else starts it', async () => {
    const { told, engine, container } = await roomOf(containerInspect({ state: CREATED_STATE }));
    engine.containers.set(CONTAINER_ID, containerInspect());
    await told(containerEvent('start'));
    expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
    expect(container()).toMatchObject({ state: 'running', pid: 4711 });
  });

  describe('a create event under a name that a handler holds', () => {
    const { signal } = new AbortController();

    it.each(['create', 'start'])(
      'leads to an inspect after the handler ends, because the container may be from an earlier call (%s)',
      async (action) => {
        const { engine, events, reservations, store } = syncRoom();
        const handler = gate();
        const held = reservations.hold('k8s_app_w_s_u_0', signal, () => handler.promise);
        await settle();
        engine.containers.set(CONTAINER_ID, containerInspect({ name: 'k8s_app_w_s_u_0' }));
        events.handle(containerEvent(action, { name: 'k8s_app_w_s_u_0' }));
        await settle();
        expect(engine.calls).toEqual([]);
        handler.resolve();
        await held;
        await until(() => store.containers.get(CONTAINER_ID) !== undefined);
      },
    );

    it("leads to no call when the container is the handler's own", async () => {
      const { engine, events, reservations, life } = syncRoom();
      engine.containers.set(CONTAINER_ID, containerInspect({ name: 'k8s_app_w_s_u_0' }));
      await reservations.hold('k8s_app_w_s_u_0', signal, async () => {
        events.handle(containerEvent('create', { name: 'k8s_app_w_s_u_0' }));
        await life.refresh(CONTAINER_ID);
      });
      await settle();
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
    });
  });

  it('kills a container that starts in a pod that is being stopped', async () => {
    const { told, engine, store } = await roomOf(
      sandboxInspect(),
      containerInspect({ state: CREATED_STATE }),
    );
    store.sandboxes.put({ ...store.sandboxes.get(SANDBOX_ID)!, stopping: true });
    engine.containers.set(CONTAINER_ID, containerInspect());
    await told(containerEvent('start'));
    expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`, `killContainer ${CONTAINER_ID}`]);
    // The sandbox's next inspect does not report the stop.
    await told(containerEvent('rename', { id: SANDBOX_ID }));
    expect(store.sandboxes.get(SANDBOX_ID)?.stopping).toBe(true);
  });

  it('ignores an out-of-memory kill in an unknown container', async () => {
    const { told, complaints, container, sandbox, engine } = await roomOf(sandboxInspect());
    const before = sandbox();
    await told(containerEvent('oom'));
    await told(containerEvent('oom', { id: SANDBOX_ID }));
    await settle();
    expect([container(), sandbox(), complaints, engine.calls]).toEqual([undefined, before, [], []]);
  });

  describe('die', () => {
    it("of a known container records the Engine's own time, which later inspects report too", async () => {
      const { told, engine, container, life } = await roomOf(containerInspect());
      engine.containers.set(CONTAINER_ID, containerInspect({ state: EXITED_STATE }));
      await told(containerEvent('die', { exitCode: '3' }));
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
      const first = container();
      expect(first).toMatchObject({ state: 'exited', pid: 0, exitCode: 3 });
      expect(first?.finishedAt.toString()).toBe('1700000002000000003');
      await life.refresh(CONTAINER_ID);
      expect(container()?.finishedAt).toEqual(first?.finishedAt);
    });

    it('of a container that cannot be inspected records the time of the event, and later inspects keep it', async () => {
      const { told, engine, container, life } = await roomOf(containerInspect());
      engine.containers.delete(CONTAINER_ID);
      await told(containerEvent('die', { exitCode: '3' }));
      expect(container()?.finishedAt.toString()).toBe('1700000002000000000');
      engine.containers.set(CONTAINER_ID, containerInspect({ state: EXITED_STATE }));
      await life.refresh(CONTAINER_ID);
      expect(container()?.finishedAt.toString()).toBe('1700000002000000000');
    });

    it('of a known container that the Engine still reports as running records the exit code', async () => {
      const { told, engine, container } = await roomOf(containerInspect());
      await told(containerEvent('die', { exitCode: '137' }));
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
      expect(container()).toMatchObject({ state: 'exited', pid: 0, exitCode: 137 });
      expect(container()?.finishedAt.toString()).toBe('1700000002000000000');
    });

    it('is reported only once the log is complete', async () => {
      const { events, logs, container } = await roomOf(containerInspect());
      const drained = gate();
      logs.onDrain = () => drained.promise;
      events.handle(containerEvent('die', { exitCode: '0' }));
      await until(() => logs.calls.includes(`drain ${CONTAINER_ID}`));
      await settle();
      expect(container()?.state).toBe('running');
      drained.resolve();
      await until(() => container()?.state === 'exited');
      expect(logs.calls).toEqual([`follow ${CONTAINER_ID}`, `drain ${CONTAINER_ID}`]);
    });

    it.each(['follow', 'drain'])('is reported even when the log fails (%s)', async (step) => {
      const { told, logs, container, complaints } = await roomOf(containerInspect());
      const fail = () => Promise.reject(new Error('disk full'));
      if (step === 'follow') logs.onFollow = fail;
      else logs.onDrain = fail;
      await told(containerEvent('die', { exitCode: '1' }));
      expect(container()?.state).toBe('exited');
      expect(complaints).toEqual(['Cannot write a container log: disk full']);
    });

    it('needs no log when the container has none', async () => {
      const { told, logs, container } = await roomOf(containerInspect({ logPath: '' }));
      await told(containerEvent('die', { exitCode: '1' }));
      expect([container()?.state, logs.calls]).toEqual(['exited', []]);
    });

    it('with a time before the start, because the clock was set back, ends the container after its start', async () => {
      const { told, container } = await roomOf(containerInspect());
      await told(containerEvent('die', { exitCode: '0', timeNano: 1_600_000_000_000_000_000 }));
      expect(container()?.finishedAt.sub(container()!.startedAt).toNumber()).toBe(1);
    });

    it.each([
      { desc: 'an unknown container', known: [], event: { exitCode: '3' } },
      {
        desc: 'a container whose start dockbridge has not seen',
        known: [containerInspect({ state: CREATED_STATE })],
        event: { exitCode: '3' },
      },
      { desc: 'a known container without an exit code', known: [containerInspect()], event: {} },
      {
        desc: 'a known container with an invalid exit code',
        known: [containerInspect()],
        event: { exitCode: 'x' },
      },
    ])('of $desc leads to an inspect', async ({ known, event }) => {
      const { told, engine, container } = await roomOf(...known);
      engine.containers.set(CONTAINER_ID, containerInspect({ state: EXITED_STATE }));
      await told(containerEvent('die', event));
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
      expect(container()).toMatchObject({ state: 'exited', exitCode: 3 });
    });

    it('of a container that was only listed so far waits until it can be inspected', async () => {
      const { told, engine, life, store, container, complaints } = await roomOf();
      await life.withContainer(CONTAINER_ID, undefined, (held) =>
        held.settle(containerInspect({ state: { Pid: 0 } }), 'listed'),
      );
      engine.down = true;
      await told(containerEvent('die', { exitCode: '3' }));
      // The start time is a guess, and the path of the log is unknown.
      expect(container()?.state).toBe('running');
      expect(complaints).toEqual([expect.stringContaining('ECONNREFUSED')]);
      const events: ContainerEventType[] = [];
      store.containers.subscribe((now, before) => void events.push(...lifecycleEvents(now, before)));
      engine.down = false;
      engine.containers.set(CONTAINER_ID, containerInspect({ state: EXITED_STATE }));
      await life.refresh(CONTAINER_ID);
      expect(events).toEqual([ContainerEventType.CONTAINER_STOPPED_EVENT]);
    });

    it.each(['exited', 'dead'])(
      'that an inspect has already reported changes nothing (%s)',
      async (status) => {
        const state = { ...EXITED_STATE, Status: status };
        const { told, engine, container, logs } = await roomOf(containerInspect({ state }));
        const before = container();
        await told(containerEvent('die', { exitCode: '3' }));
        expect([engine.calls, logs.calls]).toEqual([[], []]);
        expect(container()).toBe(before);
      },
    );

    it('of a sandbox makes it not ready without an Engine call', async () => {
      const { told, engine, sandbox } = await roomOf(sandboxInspect());
      await told(containerEvent('die', { id: SANDBOX_ID, exitCode: '0' }));
      expect(engine.calls).toEqual([]);
      expect(sandbox()).toMatchObject({ state: 'exited', pid: 0 });
    });
  });

  describe('oom', () => {
    it.each([
      { desc: 'before die', actions: ['oom', 'die'] },
      { desc: 'after die', actions: ['die', 'oom'] },
    ])('is recorded $desc', async ({ actions }) => {
      const { told, engine, container } = await roomOf(containerInspect());
      for (const action of actions) await told(containerEvent(action, { exitCode: '137' }));
      expect(container()).toMatchObject({ state: 'exited', oomKilled: true, exitCode: 137 });
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
    });

    it('survives an inspect in which the Engine does not report the kill', async () => {
      const { told, engine, container, life } = await roomOf(containerInspect());
      engine.containers.set(CONTAINER_ID, containerInspect({ state: EXITED_STATE }));
      for (const action of ['oom', 'die']) await told(containerEvent(action, { exitCode: '3' }));
      await life.refresh(CONTAINER_ID);
      expect(container()).toMatchObject({ state: 'exited', oomKilled: true });
    });

    it('survives the draining of the log after the death', async () => {
      const { events, logs, container } = await roomOf(containerInspect());
      const drained = gate();
      logs.onDrain = () => drained.promise;
      events.handle(containerEvent('die', { exitCode: '137' }));
      events.handle(containerEvent('oom'));
      await settle();
      drained.resolve();
      await until(() => container()?.oomKilled === true);
      expect(container()?.state).toBe('exited');
    });

    it('of an unknown container is ignored', async () => {
      const { told, engine, store } = await roomOf();
      await told(containerEvent('oom'));
      expect([engine.calls, store.containers.size]).toEqual([[], 0]);
    });
  });

  it.each([
    { desc: 'a container', inspect: containerInspect(), id: CONTAINER_ID },
    { desc: 'a sandbox', inspect: sandboxInspect(), id: SANDBOX_ID },
  ])('applies pause and unpause of $desc', async ({ inspect, id }) => {
    const { told, engine, store } = await roomOf(inspect);
    const state = () => (store.containers.get(id) ?? store.sandboxes.get(id))?.state;
    await told(containerEvent('pause', { id }));
    expect(state()).toBe('paused');
    await told(containerEvent('unpause', { id }));
    expect(state()).toBe('running');
    expect(engine.calls).toEqual([]);
    await told(containerEvent('die', { id, exitCode: '0' }));
    await told(containerEvent('unpause', { id }));
    expect(state()).toBe('exited');
  });

  it('forgets the record and the log on destroy, for good', async () => {
    const { told, engine, logs, store } = await roomOf(containerInspect(), sandboxInspect());
    await told(containerEvent('destroy'));
    await told(containerEvent('destroy'));
    await told(containerEvent('destroy', { id: SANDBOX_ID }));
    expect([store.containers.size, store.sandboxes.size, engine.calls]).toEqual([0, 0, []]);
    expect(logs.calls).toEqual([`forget ${CONTAINER_ID}`]);
  });

  describe('create', () => {
    it('of an unknown container leads to an inspect', async () => {
      const { told, engine, container } = await roomOf();
      engine.containers.set(CONTAINER_ID, containerInspect({ state: CREATED_STATE }));
      await told(containerEvent('create'));
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
      expect(container()?.state).toBe('created');
    });

    it('of a container that a handler has recorded makes no call', async () => {
      const { told, engine } = await roomOf(containerInspect({ state: CREATED_STATE }));
      await told(containerEvent('create'));
      expect(engine.calls).toEqual([]);
    });

    it('of a reserved name is left to the handler', async () => {
      const { events, reservations, engine, store } = await roomOf();
      engine.containers.set(CONTAINER_ID, containerInspect({ state: CREATED_STATE }));
      const handler = gate();
      const { signal } = new AbortController();
      const held = reservations.hold('the-name', signal, () => handler.promise);
      await settle();
      events.handle(containerEvent('create', { name: 'the-name' }));
      events.handle(containerEvent('start', { name: 'the-name' }));
      await settle();
      handler.resolve();
      await held;
      expect([engine.calls, store.containers.size]).toEqual([[], 0]);
    });

    it('of a container that is already gone leaves nothing behind', async () => {
      const { told, store, complaints } = await roomOf();
      await told(containerEvent('create'));
      expect([store.containers.size, complaints]).toEqual([0, []]);
    });
  });

  it('keeps a death under a reserved name, although the handler has seen the container alive', async () => {
    const { told, reservations, sandbox } = await roomOf(sandboxInspect());
    const handler = gate();
    const held = reservations.hold('the-name', new AbortController().signal, () => handler.promise);
    await settle();
    await told(containerEvent('die', { id: SANDBOX_ID, name: 'the-name', exitCode: '1' }));
    expect(sandbox()?.state).toBe('exited');
    handler.resolve();
    await held;
  });

  it("applies a death during the handler's inspect after that inspect", async () => {
    const { events, life, reservations, engine, sandbox } = await roomOf();
    engine.containers.set(SANDBOX_ID, sandboxInspect());
    const [handler, inspected] = [gate(), gate()];
    engine.gates.set('inspectContainer', () => inspected.promise);
    const held = reservations.hold('the-name', new AbortController().signal, () => handler.promise);
    const looking = life.refresh(SANDBOX_ID);
    await settle();
    events.handle(containerEvent('die', { id: SANDBOX_ID, name: 'the-name', exitCode: '1' }));
    inspected.resolve();
    await looking;
    await until(() => sandbox()?.state === 'exited');
    handler.resolve();
    await held;
  });

  it.each(['rename', 'update', 'something-new'])(
    'inspects the container after the event %s',
    async (action) => {
      const { told, engine, container } = await roomOf(containerInspect());
      engine.containers.set(CONTAINER_ID, containerInspect({ name: 'k8s_app_web_shop_u_0_12345678' }));
      await told(containerEvent(action));
      expect(engine.calls).toEqual([`inspectContainer ${CONTAINER_ID}`]);
      expect(container()?.engineName).toBe('k8s_app_web_shop_u_0_12345678');
    },
  );

  it('ignores containers that do not belong to pods', async () => {
    const { told, engine } = await roomOf();
    await told(containerEvent('create', { type: undefined }));
    await told(containerEvent('die', { type: undefined, exitCode: '1' }));
    expect(engine.calls).toEqual([]);
  });

  it('logs a failed inspect and handles the next event normally', async () => {
    const { told, engine, container, complaints } = await roomOf();
    engine.containers.set(CONTAINER_ID, containerInspect());
    engine.down = true;
    await told(containerEvent('start'));
    expect(complaints).toEqual([expect.stringContaining('ECONNREFUSED')]);
    engine.down = false;
    await told(containerEvent('start'));
    expect(container()?.state).toBe('running');
  });

  it('handles events of one container in order, and events of different containers at the same time', async () => {
    const other = 'c2'.padEnd(64, '0');
    const { events, engine, logs, container, store } = await roomOf(
      containerInspect(),
      containerInspect({ id: other }),
    );
    const drained = gate();
    logs.onDrain = () =>
      logs.calls.at(-1) === `drain ${CONTAINER_ID}` ? drained.promise : Promise.resolve();
    events.handle(containerEvent('die', { exitCode: '0' }));
    await until(() => logs.calls.includes(`drain ${CONTAINER_ID}`));
    events.handle(containerEvent('destroy'));
    events.handle(containerEvent('die', { id: other, exitCode: '0' }));
    await until(() => store.containers.get(other)?.state === 'exited');
    expect(container()?.state).toBe('running');
    drained.resolve();
    await until(() => container() === undefined);
    expect(engine.calls).toEqual([CONTAINER_ID, other].map((id) => `inspectContainer ${id}`));
  });
});
