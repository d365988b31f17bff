import fs, { cpSync, type FSWatcher, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { join } from 'node:path';
import { NodeUpkeep } from '../../../src/containers/upkeep';
import { silentLogger } from '../../../src/lib/logger';
import type { ContainerRecord } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { fromEngineResources } from '../../../src/translate/container/resources';
import { gate, settle, until } from '../support/async';
import { containerRecord, engineId } from '../support/records';
import { V2Machine } from './support/v2-machine';

const ID = engineId('c1');

/** Tests when the watch over a container's limits starts and ends. */
describe('the watch over limits', () => {
  let machine: V2Machine;
  let store: WritableStore;
  let upkeep: NodeUpkeep;
  /** All checks so far. Each of them holds the container. */
  let looks: Promise<void>[];
  const watched = jest.spyOn(fs, 'watch');
  const read = jest.spyOn(promises, 'readFile');
  beforeEach(() => {
    watched.mockClear();
    read.mockClear();
    machine = new V2Machine(ID, 42, ['memory.high']);
    machine.write('memory.high', '4096\n');
    store = new WritableStore();
    looks = [];
    upkeep = new NodeUpkeep(silentLogger, machine.proc);
    upkeep.watchLimits(store, (_, work) => {
      const look = work(() => Promise.resolve());
      looks.push(look);
      return look;
    });
  });
  afterEach(async () => {
    upkeep.close();
    await Promise.all(looks);
    machine.remove();
  });
  afterAll(() => {
    watched.mockRestore();
    read.mockRestore();
  });

  const record = (more: Partial<ContainerRecord> = {}) =>
    containerRecord({
      ...{ id: ID, state: 'running', pid: 42 },
      resources: fromEngineResources({}, { hugepages: {}, unified: { 'memory.high': '4096' } }),
      ...more,
    });
  const isFollowed = async (): Promise<boolean> => {
    machine.write('memory.high', 'max\n');
    await upkeep.limitsOf(record());
    return machine.read('memory.high') === '4096';
  };
  /** Starts the container, and waits until its limits were checked once. */
  const running = async (): Promise<void> => {
    store.containers.put(record());
    await until(() => looks.length === 1);
    await looks[0];
  };

  /** Waits until all checks that have begun are done. */
  const quiet = async (): Promise<void> => {
    for (let seen = -1; seen < read.mock.results.length;) {
      seen = read.mock.results.length;
      await Promise.allSettled(read.mock.results.map(({ value }) => value as Promise<unknown>));
      await Promise.all(looks);
      await settle();
    }
  };

  it('continues while the container runs, however often its record is written', async () => {
    await running();
    store.containers.put(record({ exitCode: 1 }));
    store.containers.put(record({ oomKilled: true }));
    await quiet();
    expect(watched).toHaveBeenCalledTimes(1);
    expect(await isFollowed()).toBe(true);
  });

  it('starts again with each run of the container', async () => {
    await running();
    cpSync(join(machine.proc, '42'), join(machine.proc, '43'), { recursive: true });
    store.containers.put(record({ pid: 43 }));
    await until(() => watched.mock.calls.length === 2);
    await until(() => looks.length === 2);
  });

  it('ends when the record of the container is removed', async () => {
    await running();
    store.containers.delete(ID);
    expect(await isFollowed()).toBe(false);
  });

  it('ends with the container, even if its record still names a pid', async () => {
    await running();
    store.containers.put(record({ state: 'exited' }));
    expect(await isFollowed()).toBe(false);
  });

  it('opens no file for a container that has ended before its cgroup was found', async () => {
    store.containers.put(record());
    store.containers.put(record({ state: 'exited', pid: 0 }));
    await quiet();
    expect([watched.mock.calls.length, looks.length]).toEqual([0, 0]);
  });

  it('ignores a container without limits', async () => {
    store.containers.put(record({ resources: fromEngineResources({ CpuShares: 2 }) }));
    await quiet();
    expect([watched.mock.calls.length, looks.length, await isFollowed()]).toEqual([0, 0, false]);
  });

  it('does not repeat the write of a value that the kernel accepts but does not keep', async () => {
    machine.write('memory.high', 'max\n');
    const written = jest.spyOn(promises, 'writeFile').mockResolvedValue();
    try {
      await running();
      expect(written).toHaveBeenCalledTimes(1);
      // Neither a change of the file nor a new record of the same run causes another attempt.
      machine.write('memory.high', 'max\n');
      store.containers.put(record({ exitCode: 1 }));
      await quiet();
      expect([written.mock.calls.length, looks.length]).toEqual([1, 1]);
    } finally {
      written.mockRestore();
    }
  });

  it('checks once for all changes that come while somebody else holds the container', async () => {
    await running();
    const busy = gate();
    upkeep.close();
    upkeep = new NodeUpkeep(silentLogger, machine.proc);
    upkeep.watchLimits(store, (_, work) => {
      const look = busy.promise.then(() => work(() => Promise.resolve()));
      looks.push(look);
      return look;
    });
    looks = [];
    watched.mockClear();
    store.containers.put(record());
    await until(() => looks.length === 1);
    const tellChange = watched.mock.calls[0]?.at(-1) as () => void;
    for (let change = 0; change < 3; change++) tellChange();
    expect(looks).toHaveLength(1);
    busy.resolve();
    await quiet();
    // The next change leads to another check.
    tellChange();
    expect(looks).toHaveLength(2);
  });

  it('closes only itself when the kernel reports an error to it', async () => {
    await running();
    const watcher = watched.mock.results[0]?.value as FSWatcher;
    const closed = new Promise<void>((resolve) => void watcher.once('close', resolve));
    watcher.emit('error', new Error('too many open files'));
    await closed;
  });

  it('does not exist on cgroup v1, whose values systemd does not change', async () => {
    const memory = join(machine.proc, '../cgroup');
    writeFileSync(
      join(machine.proc, 'self/mountinfo'),
      `30 1 0:26 / ${memory} rw - cgroup cgroup rw,memory\n`,
    );
    writeFileSync(join(machine.proc, '42/cgroup'), `5:memory:/kubepods/pod1/${ID}\n`);
    store.containers.put(record());
    await quiet();
    expect([watched.mock.calls.length, looks.length]).toEqual([0, 0]);
  });
});
