import { ContainerEvents } from '../../../src/containers/events';
import { EngineError } from '../../../src/docker/errors';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { silentLogger } from '../../../src/lib/logger';
import { gate, settle, until } from '../support/async';
import {
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  EXITED_STATE,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
} from '../sync/support/room';

const { signal } = sharedAbortController();

describe('an event whose handling failed', () => {
  it('marks its container as doubtful, so that it is inspected until an inspect succeeds', async () => {
    const { engine, resync, store, told } = roomWith(containerInspect());
    engine.gates.set('inspectContainer', () => Promise.reject(new EngineError('UNKNOWN', 500, 'broken')));
    await told(containerEvent('rename'));
    await resync.retryDoubtful(signal);
    expect([engine.count('inspectContainer'), store.containers.size]).toEqual([2, 0]);
    engine.gates.clear();
    await resync.retryDoubtful(signal);
    await resync.retryDoubtful(signal);
    expect([engine.count('inspectContainer'), store.containers.size]).toEqual([3, 1]);
  });

  it('is logged as a warning with the container, the event and the reason', async () => {
    const { engine, life, store, reservations } = roomWith(containerInspect());
    engine.gates.set('inspectContainer', () => Promise.reject(new EngineError('UNKNOWN', 500, 'broken')));
    const [warn, onDoubt, onApplied] = [jest.fn(), jest.fn(), jest.fn()];
    const logger = { ...silentLogger, warn };
    new ContainerEvents({ life, store, reservations, logger, onDoubt, onApplied }).handle(
      containerEvent('rename'),
    );
    await until(() => warn.mock.calls.length > 0);
    expect(warn.mock.calls).toEqual([
      [
        'Cannot apply an event of Docker Engine',
        { container: CONTAINER_ID, event: 'rename', error: 'broken' },
      ],
    ]);
    expect([onDoubt.mock.calls, onApplied.mock.calls]).toEqual([[[CONTAINER_ID]], []]);
  });
});

describe('an event that was handled', () => {
  it('is counted with the seconds since it happened, after the store has the change', async () => {
    const { engine, life, store, reservations } = roomWith(containerInspect());
    const inspected = gate();
    engine.gates.set('inspectContainer', () => inspected.promise);
    const [onDoubt, lags] = [jest.fn(), [] as number[]];
    const onApplied = (lag: number): void => {
      expect(store.containers.size).toBe(1);
      lags.push(lag);
    };
    const logger = silentLogger;
    const events = new ContainerEvents({ life, store, reservations, logger, onDoubt, onApplied });
    events.handle(containerEvent('start', { timeNano: (Date.now() - 7_000) * 1e6 }));
    await until(() => engine.count('inspectContainer') === 1);
    await settle();
    expect(lags).toEqual([]);
    inspected.resolve();
    await until(() => lags.length === 1);
    expect(lags[0]).toBeGreaterThanOrEqual(6.9);
    expect(lags[0]).toBeLessThan(60);
    expect(onDoubt).not.toHaveBeenCalled();
  });
});

it('the death of a sandbox that is known to have ended changes nothing', async () => {
  const { life, store, told } = roomWith(sandboxInspect({ state: EXITED_STATE }));
  await life.refresh(SANDBOX_ID);
  const before = store.sandboxes.get(SANDBOX_ID);
  await told(containerEvent('die', { id: SANDBOX_ID, exitCode: '0' }));
  expect(store.sandboxes.get(SANDBOX_ID)).toBe(before);
});

describe('pause and unpause', () => {
  it.each(['pause', 'unpause'])('%s does not change a container that has ended', async (action) => {
    const { life, store, told } = roomWith(containerInspect({ state: EXITED_STATE }));
    await life.refresh(CONTAINER_ID);
    const before = store.containers.get(CONTAINER_ID);
    await told(containerEvent(action));
    expect(store.containers.get(CONTAINER_ID)).toBe(before);
  });

  it.each(['pause', 'unpause', 'oom'])('%s creates no record of an unknown container', async (action) => {
    const { store, told, engine, complaints } = roomWith(containerInspect());
    await told(containerEvent(action));
    expect([store.containers.size, engine.calls, complaints]).toEqual([0, [], []]);
  });
});

it('a listed container leaves the list once an event reports a change', async () => {
  const { store, events, life } = roomWith(containerInspect());
  await life.refresh(CONTAINER_ID);
  const record = store.containers.get(CONTAINER_ID)!;
  store.listed.replace([{ id: CONTAINER_ID, kind: 'container', sandboxId: record.sandboxId, record }]);
  events.handle(containerEvent('die', { exitCode: '0' }));
  expect([...store.listed.records()]).toEqual([]);
  await life.withContainer(CONTAINER_ID, undefined, () => Promise.resolve());
});
