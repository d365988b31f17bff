import { KeyedLock } from '../../../src/lib/async/keyed-lock';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { NodeUpkeep } from '../../../src/containers/upkeep';
import { fromEngineResources } from '../../../src/translate/container/resources';
import { until } from '../support/async';
import { containerRecord, engineId } from '../support/records';
import { V2Machine } from './support/v2-machine';

const ID = engineId('c1');

describe('the limits of a running container', () => {
  let machine: V2Machine;
  let store: WritableStore;
  let lock: KeyedLock;
  let upkeep: NodeUpkeep;
  /** What an inspect does; unless a test says so, it finds nothing new. */
  let refresh: jest.Mock<Promise<void>>;
  beforeEach(() => {
    machine = new V2Machine(ID, 42, ['memory.oom.group', 'memory.high']);
    machine.write('memory.oom.group', '1\n');
    machine.write('memory.high', '4096\n');
    refresh = jest.fn(() => Promise.resolve());
    store = new WritableStore();
    lock = new KeyedLock();
    upkeep = new NodeUpkeep(silentLogger, machine.proc);
    upkeep.watchLimits(store, (id, work) => lock.run(id, () => work(refresh)));
  });
  afterEach(async () => {
    upkeep.close();
    await settled();
    machine.remove();
  });

  const record = (oomGroup = '1', more = {}, added = {}) =>
    containerRecord({
      ...{ id: ID, state: 'running' as const, pid: 42, ...more },
      resources: fromEngineResources(
        {},
        { hugepages: {}, unified: { 'memory.oom.group': oomGroup, 'memory.high': '4096', ...added } },
      ),
    });
  const values = () => [machine.read('memory.oom.group').trim(), machine.read('memory.high').trim()];
  /** What was queued before it has been done. */
  const settled = () => lock.run(ID, () => Promise.resolve());
  /** Runs, and what was there at its start has been looked at. */
  const followed = async (given = record()) => {
    machine.write('memory.high', 'max\n');
    store.containers.put(given);
    await until(() => values()[1] === '4096');
    await settled();
  };

  it('are written when it has none of them', followed);

  it('are written again when somebody sets them back', async () => {
    await followed();
    machine.write('memory.oom.group', '0\n');
    machine.write('memory.high', 'max\n');
    await until(() => values().join() === '1,4096');
    machine.write('memory.oom.group', '0\n');
    await until(() => values().join() === '1,4096');
  });

  it('stay as somebody else has changed them', async () => {
    await followed();
    machine.write('memory.high', '8192\n');
    machine.write('memory.oom.group', '0\n');
    await until(() => values()[0] === '1');
    expect(values()).toEqual(['1', '8192']);
  });

  it('are the new ones when an update takes them away', async () => {
    await followed();
    await lock.run(ID, async () => {
      machine.write('memory.oom.group', '0\n');
      // The event comes while the update still holds the container.
      await new Promise((resolve) => setImmediate(resolve));
      store.containers.put(record('0'));
    });
    machine.write('memory.high', 'max\n');
    await until(() => values()[1] === '4096');
    expect(values()).toEqual(['0', '4096']);
  });

  it('are wanted on when a look at the container sees first that they are gone', async () => {
    await followed();
    await lock.run(ID, async () => {
      machine.write('memory.oom.group', '0\n');
      expect((await upkeep.limitsOf(record())).unified['memory.oom.group']).toBe('1');
    });
    expect(values()[0]).toBe('1');
  });

  it('are also those that an update has brought', async () => {
    await followed();
    machine.write('memory.low', '');
    store.containers.put(record('1', {}, { 'memory.low': '512' }));
    await until(() => machine.read('memory.low') === '512');
    machine.write('memory.low', '0\n');
    await until(() => machine.read('memory.low').startsWith('512'));
  });

  it('include that it has no swap, of which runc tells systemd nothing', async () => {
    machine.write('memory.swap.max', 'max\n');
    const limits = { Memory: 1024, MemorySwap: 1024 };
    store.containers.put(
      containerRecord({ id: ID, state: 'running', pid: 42, resources: fromEngineResources(limits) }),
    );
    await until(() => machine.read('memory.swap.max').startsWith('0'));
    machine.write('memory.swap.max', 'max\n');
    await until(() => machine.read('memory.swap.max').startsWith('0'));
    expect((await upkeep.limitsOf(store.containers.get(ID) ?? record())).unified).toEqual({});
  });

  it('are not written over a swap limit that the Engine has just changed', async () => {
    machine.write('memory.swap.max', '0\n');
    const swap = (MemorySwap: number) =>
      containerRecord({
        ...{ id: ID, state: 'running' as const, pid: 42 },
        resources: fromEngineResources(
          { Memory: 1024, MemorySwap },
          { hugepages: {}, unified: { 'memory.high': '4096' } },
        ),
      });
    await followed(swap(1024));
    refresh.mockImplementation(() => {
      store.containers.put(swap(-1));
      return Promise.resolve();
    });
    machine.write('memory.swap.max', 'max\n');
    await until(() => refresh.mock.calls.length > 0);
    await settled();
    expect(machine.read('memory.swap.max')).toBe('max\n');
  });

  it('are watched also where the kernel lacks one of the files', async () => {
    const unified = { 'memory.high': '4096', 'memory.oom.group': '1' };
    const resources = fromEngineResources({ Memory: 1024, MemorySwap: 1024 }, { hugepages: {}, unified });
    await followed(containerRecord({ id: ID, state: 'running', pid: 42, resources }));
    machine.write('memory.oom.group', '0\n');
    await until(() => values()[0] === '1');
  });

  it('are kept while it is paused', async () => {
    await followed();
    store.containers.put(record('1', { state: 'paused' }));
    machine.write('memory.oom.group', '0\n');
    await until(() => values()[0] === '1');
  });

  it('are given up when the container has ended', async () => {
    await followed();
    store.containers.put(record('1', { state: 'exited', pid: 0 }));
    machine.write('memory.oom.group', '0\n');
    store.containers.put(record('1', { id: engineId('c2'), state: 'exited', pid: 0 }));
    await settled();
    expect((await upkeep.limitsOf(record())).unified['memory.oom.group']).toBe('0');
    expect(values()[0]).toBe('0');
  });

  it('that cannot be looked at end nothing but the look', async () => {
    const asked = jest.spyOn(lock, 'run').mockRejectedValue(new Error('the group has gone'));
    store.containers.put(record());
    await until(() => asked.mock.calls.length === 1);
    asked.mockRestore();
    await settled();
  });
});
