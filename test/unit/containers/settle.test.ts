import { Settling, type Occasion } from '../../../src/containers/settle';
import { NoUpkeep } from '../../../src/containers/upkeep';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { fakeDocker } from '../../fakes/fake-docker';
import {
  containerInspect,
  EXITED_STATE,
  FakeCheckpoints,
  FakeLogs,
  NETWORK,
  sandboxInspect,
} from '../sync/support/room';

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

describe('what happens between an inspect and the record', () => {
  const killed = { ...EXITED_STATE, ExitCode: 137 };

  it.each<{ occasion: Occasion; status?: string; steps: string[] }>([
    { occasion: 'found', steps: ['write limits', 'oom', 'log', 'container record'] },
    { occasion: 'started', steps: ['read limits', 'oom', 'log', 'container record'] },
    { occasion: 'found', status: 'dead', steps: ['write limits', 'oom', 'log', 'container record'] },
  ])('of a container that was $occasion $status', async ({ occasion, status = 'exited', steps }) => {
    const state = { ...killed, Status: status };
    expect(await stepsOf(containerInspect({ state }), occasion)).toEqual(steps);
  });

  it.each<{ occasion: Occasion; steps: string[] }>([
    { occasion: 'found', steps: ['dns', 'network', 'sandbox record', 'checkpoint'] },
    // Its handler writes its DNS and its checkpoint, for it can still undo the start.
    { occasion: 'started', steps: ['network', 'sandbox record'] },
    // A list does not tell which ports a checkpoint has to name.
    { occasion: 'listed', steps: ['network', 'sandbox record'] },
  ])('of a sandbox that was $occasion', async ({ occasion, steps }) => {
    expect(await stepsOf(sandboxInspect(), occasion)).toEqual(steps);
  });
});
