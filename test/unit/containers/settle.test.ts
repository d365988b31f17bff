import { Settling, type Occasion, type SettleParts } from '../../../src/containers/settle';
import { NoUpkeep } from '../../../src/containers/upkeep';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { silentLogger } from '../../../src/lib/logger';
import type { ContainerRecord } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { gate, settle } from '../support/async';
import { engineTimeFromNanos } from '../../../src/translate/shared/time';
import { fakeDocker } from '../../fakes/fake-docker';
import {
  CONTAINER_ID,
  containerInspect,
  CREATED_STATE,
  EXITED_STATE,
  FakeCheckpoints,
  FakeLogs,
  NETWORK,
  sandboxInspect,
} from '../sync/support/room';

/** Returns a `Settling` with the given parts replaced, and its store. */
function settlingWith(parts: Partial<SettleParts> = {}): { settling: Settling; store: WritableStore } {
  const store = new WritableStore();
  const settling = new Settling({
    ...{ docker: fakeDocker({}), store, logs: new FakeLogs(), checkpoints: new FakeCheckpoints() },
    ...{ network: NETWORK, logger: silentLogger, localEngine: false },
    ...parts,
  });
  return { settling, store };
}

/** Settles an inspect, and returns the steps in their order. */
async function stepsOf(inspect: EngineContainerInspect, occasion: Occasion): Promise<string[]> {
  const steps: string[] = [];
  const step = (name: string): Promise<void> => Promise.resolve(void steps.push(name));
  const upkeep = new NoUpkeep();
  upkeep.keepDns = () => step('dns');
  upkeep.keepLimits = async (container) => {
    await step('write limits');
    return container.resources;
  };
  upkeep.limitsOf = async (container) => {
    await step('read limits');
    return container.resources;
  };
  const logs = new FakeLogs();
  logs.onFollow = () => step('log');
  const checkpoints = new FakeCheckpoints();
  checkpoints.complete = () => step('checkpoint');
  const store = new WritableStore();
  const settling = new Settling({
    ...{ docker: fakeDocker({}), store, logs, checkpoints, upkeep },
    network: {
      stateOf: async (sandbox) => {
        await step('network');
        return NETWORK.stateOf(sandbox);
      },
    },
    kernelLog: {
      killedForMemory: async () => {
        await step('oom');
        return true;
      },
    },
    ...{ logger: silentLogger, localEngine: false },
  });
  await settling.settle(inspect, occasion, (record) => {
    steps.push(`${record.kind} record`);
    if (record.kind === 'sandbox') store.sandboxes.put(record);
  });
  return steps;
}

describe('the steps between an inspect and the record', () => {
  const killed = { ...EXITED_STATE, ExitCode: 137 };

  it.each<{ occasion: Occasion; status: string; steps: string[] }>([
    { occasion: 'found', status: 'exited', steps: ['write limits', 'oom', 'log', 'container record'] },
    { occasion: 'started', status: 'exited', steps: ['read limits', 'oom', 'log', 'container record'] },
    { occasion: 'found', status: 'dead', steps: ['write limits', 'oom', 'log', 'container record'] },
  ])(
    'come in the right order for a container that was $occasion in the state $status',
    async ({ occasion, status, steps }) => {
      const state = { ...killed, Status: status };
      expect(await stepsOf(containerInspect({ state }), occasion)).toEqual(steps);
    },
  );

  it.each<{ occasion: Occasion; steps: string[] }>([
    { occasion: 'found', steps: ['dns', 'network', 'sandbox record', 'checkpoint'] },
    // The handler writes DNS and the checkpoint itself, because it can still undo the start.
    { occasion: 'started', steps: ['network', 'sandbox record'] },
    // A list does not say which ports a checkpoint has to name.
    { occasion: 'listed', steps: ['network', 'sandbox record'] },
  ])('come in the right order for a sandbox that was $occasion', async ({ occasion, steps }) => {
    expect(await stepsOf(sandboxInspect(), occasion)).toEqual(steps);
  });
});

it('a sandbox is settled only when its checkpoint is complete', async () => {
  const checkpoints = new FakeCheckpoints();
  const written = gate();
  checkpoints.complete = () => written.promise;
  const { settling, store } = settlingWith({ checkpoints });
  let isSettled = false;
  const settled = settling
    .settle(sandboxInspect(), 'found', (record) => {
      if (record.kind === 'sandbox') store.sandboxes.put(record);
    })
    .then(() => (isSettled = true));
  await settle();
  expect([store.sandboxes.size, isSettled]).toEqual([1, false]);
  written.resolve();
  await settled;
});

it('no checkpoint is written for a sandbox that was removed while it was inspected', async () => {
  const checkpoints = new FakeCheckpoints();
  const { settling } = settlingWith({ checkpoints });
  await settling.settle(sandboxInspect(), 'found', () => undefined);
  expect(checkpoints.calls).toEqual([]);
});

describe('the end of a container that an event reported', () => {
  /** Settles two inspects one after the other, and returns the final state and the time of the end. */
  const endAfter = async (known: EngineContainerInspect, now: EngineContainerInspect) => {
    const { settling, store } = settlingWith();
    const put: Parameters<Settling['settle']>[2] = (record) => {
      if (record.kind === 'container') store.containers.put(record);
    };
    await settling.settle(known, 'found', put);
    await settling.settle(now, 'found', put);
    const { state, finishedAt } = store.containers.get(now.Id)!;
    return [state, finishedAt.isZero() ? 'no end' : engineTimeFromNanos(finishedAt)];
  };
  const running = containerInspect();
  const exited = containerInspect({ state: EXITED_STATE });
  const LATER = '2023-11-14T22:13:23.000000004Z';

  it('keeps its time, because kubelet has seen it', async () => {
    const later = containerInspect({ state: { ...EXITED_STATE, FinishedAt: LATER } });
    expect(await endAfter(exited, later)).toEqual(['exited', EXITED_STATE.FinishedAt]);
  });

  it('gets the time of the inspect when it was unknown', async () => {
    expect(await endAfter(running, exited)).toEqual(['exited', EXITED_STATE.FinishedAt]);
  });

  it('is discarded when the Engine says that the container still runs', async () => {
    expect(await endAfter(exited, running)).toEqual(['running', 'no end']);
  });

  it('does not apply to the next run', async () => {
    const again = { StartedAt: '2023-11-14T22:13:22.5Z', FinishedAt: LATER };
    const next = containerInspect({ state: { ...EXITED_STATE, ...again } });
    expect(await endAfter(exited, next)).toEqual(['exited', LATER]);
  });
});

describe('the record of a container', () => {
  /** Settles an inspect. If `known` is given, it changes the record, and the inspect is settled again. */
  const recordOf = async (
    inspect: EngineContainerInspect,
    known?: (made: ContainerRecord) => ContainerRecord,
  ): Promise<ContainerRecord> => {
    const { settling, store } = settlingWith();
    const put: Parameters<Settling['settle']>[2] = (record) => {
      if (record.kind === 'container') store.containers.put(record);
    };
    await settling.settle(inspect, 'found', put);
    if (known !== undefined) {
      store.containers.put(known(store.containers.get(inspect.Id)!));
      await settling.settle(inspect, 'found', put);
    }
    return store.containers.get(inspect.Id)!;
  };

  it('has the limits of the Engine, and those that only dockbridge knows', async () => {
    const limited = { ...containerInspect(), HostConfig: { CpuShares: 512, Memory: 4096 } };
    const unified = { 'memory.high': '2048' };
    const { resources } = await recordOf(limited, (made) => ({
      ...made,
      resources: { ...made.resources, unified, cpuShares: 2 },
    }));
    expect(resources).toMatchObject({ cpuShares: 512, memoryLimit: 4096, unified });
  });

  it.each([
    { of: '', known: 'no such mount', error: 'no such mount' },
    { of: 'no space left', known: 'no such mount', error: 'no space left' },
    { of: 'no space left', known: '', error: 'no space left' },
  ])('says why the start failed: Engine "$of", dockbridge "$known"', async ({ of, known, error }) => {
    const refused = containerInspect({ state: { ...CREATED_STATE, Error: of } });
    expect((await recordOf(refused, (made) => ({ ...made, error: known }))).error).toBe(error);
  });

  it('has no cause of death if the Engine’s kernel log is on another machine', async () => {
    const killed = containerInspect({ state: { ...EXITED_STATE, ExitCode: 137 } });
    expect((await recordOf(killed)).oomKilled).toBe(false);
  });
});

it('a log whose writing failed counts as behind until a later inspect has written it', async () => {
  const logs = new FakeLogs();
  const { settling } = settlingWith({ logs });
  logs.onFollow = () => Promise.reject(new Error('disk full'));
  await settling.settle(containerInspect(), 'found', () => undefined);
  expect([...settling.logsBehind.keys()]).toEqual([CONTAINER_ID]);
  logs.onFollow = () => Promise.resolve();
  await settling.settle(containerInspect(), 'found', () => undefined);
  expect([...settling.logsBehind.keys()]).toEqual([]);
});
