import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { join } from 'node:path';
import {
  readKernelValues,
  requireKernelValues,
  restoreLostValues,
  writeKernelValues,
} from '../../../src/containers/limits';
import { NodeUpkeep } from '../../../src/containers/upkeep';
import { KeyedLock } from '../../../src/lib/async/keyed-lock';
import { silentLogger } from '../../../src/lib/logger';
import type { KernelValues } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { fromEngineResources } from '../../../src/translate/container/resources';
import { until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { containerRecord, engineId } from '../support/records';
import { V2Machine } from './support/v2-machine';

const ID = engineId('c1');
const VALUES = { hugepages: { '2MB': '4096' }, unified: { 'memory.high': '5', 'memory.oom.group': '1' } };

describe('kernel values', () => {
  let machine: V2Machine;
  beforeEach(() => {
    machine = new V2Machine(ID, 42, ['hugetlb.2MB.max', 'memory.high', 'memory.oom.group']);
    logger.warn.mockClear();
  });
  afterEach(() => machine.remove());

  const record = (pid = 42) =>
    containerRecord({
      id: ID,
      state: 'running',
      pid,
      resources: fromEngineResources({ CpuShares: 2 }, VALUES),
    });
  const logger = { warn: jest.fn() };
  const write = (values: KernelValues = VALUES, pid = 42) =>
    writeKernelValues(record(pid), values, logger, machine.proc);
  const file = (name: string): string => machine.read(name);

  it('are written to the files of the container’s cgroup', async () => {
    await write();
    expect([file('hugetlb.2MB.max'), file('memory.high'), file('memory.oom.group')]).toEqual([
      '4096',
      '5',
      '1',
    ]);
  });

  it('are read back as the kernel has them', async () => {
    rmSync(join(machine.group, 'memory.oom.group'));
    machine.write('memory.high', '4096\n');
    machine.write('hugetlb.2MB.max', '0\n');
    expect(await readKernelValues(record(), machine.proc)).toEqual({
      ...fromEngineResources({ CpuShares: 2 }),
      hugepages: { '2MB': '0' },
      // The file cannot be read, so the known value stays.
      unified: { 'memory.high': '4096', 'memory.oom.group': '1' },
    });
  });

  it('are written again where they were lost, and stay where they were changed since', async () => {
    machine.write('hugetlb.2MB.max', 'max\n');
    machine.write('memory.high', '4096\n');
    machine.write('memory.oom.group', '0\n');
    const { resources, complete } = await restoreLostValues(record(), silentLogger, machine.proc);
    const { hugepages, unified } = resources;
    expect(complete).toBe(true);
    expect(hugepages).toEqual({ '2MB': '4096' });
    expect(unified).toEqual({ 'memory.high': '4096', 'memory.oom.group': '1' });
  });

  it('that cannot be written again are logged, and do not count as complete', async () => {
    machine.write('memory.high', 'max\n');
    machine.write('hugetlb.2MB.max', '4096\n');
    machine.write('memory.oom.group', '1\n');
    const [info, error] = [jest.fn(), jest.fn()];
    const refuse = jest.spyOn(fs, 'writeFile').mockRejectedValue(new Error('invalid argument'));
    try {
      const given = { ...silentLogger, info, error };
      const { resources, complete } = await restoreLostValues(record(), given, machine.proc);
      expect([complete, resources.unified['memory.high']]).toEqual([false, 'max']);
      // The check ends only when the attempt does.
      expect([info.mock.calls, error.mock.calls]).toEqual([
        [],
        [
          [
            'A container runs without some of its limits',
            { container: ID, error: expect.stringContaining('memory.high cannot be set to "5"') as string },
          ],
        ],
      ]);
    } finally {
      refuse.mockRestore();
    }
  });

  it('that a container may run without are logged, and do not fail, on a machine without cgroups', async () => {
    writeFileSync(join(machine.proc, 'self/mountinfo'), '');
    await write({ hugepages: {}, unified: { 'memory.oom.group': '1' } });
    expect(logger.warn.mock.calls).toEqual([
      [
        "Cannot set a value of a container's cgroup",
        { container: ID, error: expect.stringContaining('cannot find the control group') as string },
      ],
    ]);
  });

  it('that were not requested are not missed on a machine without cgroups', async () => {
    writeFileSync(join(machine.proc, 'self/mountinfo'), '');
    await write({ hugepages: {}, unified: {} });
    expect(logger.warn.mock.calls).toEqual([]);
  });

  it('of a container that has ended are ignored', async () => {
    await write(VALUES, 43);
    expect(file('memory.high')).toBe('');
    expect(await readKernelValues(record(43), machine.proc)).toEqual(record().resources);
  });

  it('keep their known value where their controller is not mounted', async () => {
    const memory = join(machine.proc, '../cgroup');
    writeFileSync(
      join(machine.proc, 'self/mountinfo'),
      `30 1 0:26 / ${memory} rw - cgroup cgroup rw,memory\n`,
    );
    writeFileSync(join(machine.proc, '42/cgroup'), `5:memory:/kubepods/pod1/${ID}\n`);
    expect((await readKernelValues(record(), machine.proc)).hugepages).toEqual(VALUES.hugepages);
  });

  it('on a machine without cgroups fail when they are written, and keep their known value when they are read', async () => {
    writeFileSync(join(machine.proc, 'self/mountinfo'), '');
    expect(await rejectionOf(write())).toBe(
      `FAILED_PRECONDITION cannot find the control group of container ${ID}`,
    );
    expect(await readKernelValues(record(), machine.proc)).toEqual(record().resources);
  });

  it('whose controller is not mounted fail with an error that names the controller', async () => {
    const memory = join(machine.proc, '../cgroup');
    writeFileSync(
      join(machine.proc, 'self/mountinfo'),
      `30 1 0:26 / ${memory} rw - cgroup cgroup rw,memory\n`,
    );
    writeFileSync(join(machine.proc, '42/cgroup'), `5:memory:/kubepods/pod1/${ID}\n`);
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION .*controller hugetlb is not mounted/);
  });

  it('are ignored when the container ends while they are written', async () => {
    const refuse = jest.spyOn(fs, 'writeFile').mockImplementation(() => {
      rmSync(join(machine.proc, '42'), { recursive: true });
      return Promise.reject(Object.assign(new Error('no such device'), { code: 'ENODEV' }));
    });
    try {
      await write();
    } finally {
      refuse.mockRestore();
    }
    expect(logger.warn.mock.calls).toEqual([]);
  });

  it('are never written to the cgroup of another process with a reused pid', async () => {
    writeFileSync(join(machine.proc, '42/cgroup'), '0::/system.slice\n');
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION/);
    expect(await readKernelValues(record(), machine.proc)).toEqual(record().resources);
  });

  it('of a zombie process are ignored', async () => {
    writeFileSync(join(machine.proc, '42/cgroup'), '0::/\n');
    writeFileSync(join(machine.proc, '42/stat'), '42 (a) S b) Z 1 42');
    await write();
    expect([file('memory.high'), logger.warn.mock.calls]).toEqual(['', []]);
  });

  it('that a container may run without are written where possible, and logged elsewhere', async () => {
    rmSync(join(machine.group, 'memory.oom.group'));
    const unified = { 'memory.oom.group': '1', 'memory.swap.max': '0', 'memory.high': '7' };
    await write({ hugepages: {}, unified });
    expect(file('memory.high')).toBe('7');
    expect(logger.warn).toHaveBeenCalledTimes(2);
    expect(() => file('memory.oom.group')).toThrow(/ENOENT/);
    const swap = { hugepages: {}, unified: { 'memory.swap.max': '4096' } };
    expect(await rejectionOf(write(swap))).toMatch(/^FAILED_PRECONDITION memory\.swap\.max/);
  });

  it('that the kernel refuses cause an error that names the file', async () => {
    rmSync(join(machine.group, 'memory.high'));
    mkdirSync(join(machine.group, 'memory.high'));
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION memory\.high cannot be set to "5"/);
  });
});

describe('huge page limits', () => {
  const cgroup2 = '30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw';
  const v1 = (controller: string): string =>
    `30 1 0:26 / /sys/fs/cgroup/${controller} rw - cgroup cgroup rw,${controller}`;

  it.each([
    { desc: 'cgroup v2', mounts: [cgroup2], verdict: 'accepted', refusal: undefined },
    {
      desc: 'cgroup v1 with hugetlb',
      mounts: [v1('memory'), v1('hugetlb')],
      verdict: 'accepted',
      refusal: undefined,
    },
    {
      desc: 'cgroup v1 without hugetlb',
      mounts: [v1('memory')],
      verdict: 'refused',
      refusal: /^FAILED_PRECONDITION .*hugetlb/,
    },
    { desc: 'no cgroups', mounts: [], verdict: 'refused', refusal: /^FAILED_PRECONDITION .*hugetlb/ },
  ])('are $verdict on a machine with $desc', async ({ mounts, refusal }) => {
    const machine = new V2Machine(ID, 42, []);
    try {
      writeFileSync(join(machine.proc, 'self/mountinfo'), `${mounts.join('\n')}\n`);
      const wanted = requireKernelValues(
        { hugepages: { '2MB': '4096' }, unified: {} },
        ...([true, 'linux', machine.proc] as const),
      );
      if (refusal === undefined) await wanted;
      else expect(await rejectionOf(wanted)).toMatch(refusal);
    } finally {
      machine.remove();
    }
  });
});

describe('the limits of a running container', () => {
  let machine: V2Machine;
  let store: WritableStore;
  let lock: KeyedLock;
  let upkeep: NodeUpkeep;
  /** Stands for an inspect. Unless a test replaces it, it finds nothing new. */
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
  /** Waits until the work that was queued before is done. */
  const settled = () => lock.run(ID, () => Promise.resolve());
  /** Starts the watch and waits for the check at its start. */
  const followed = async (given = record()) => {
    machine.write('memory.high', 'max\n');
    store.containers.put(given);
    await until(() => values()[1] === '4096');
    await settled();
  };

  it('are written when it has none of them', followed);

  it('are written again when somebody resets them', async () => {
    await followed();
    machine.write('memory.oom.group', '0\n');
    machine.write('memory.high', 'max\n');
    await until(() => values().join() === '1,4096');
    machine.write('memory.oom.group', '0\n');
    await until(() => values().join() === '1,4096');
  });

  it('stay as somebody else has changed them, while lost ones are written again', async () => {
    await followed();
    machine.write('memory.high', '8192\n');
    machine.write('memory.oom.group', '0\n');
    await until(() => values()[0] === '1');
    expect(values()).toEqual(['1', '8192']);
  });

  it('are not written again when an update has removed them', async () => {
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

  it('are still watched when an inspect is the first to see that they are gone', async () => {
    await followed();
    await lock.run(ID, async () => {
      machine.write('memory.oom.group', '0\n');
      expect((await upkeep.limitsOf(record())).unified['memory.oom.group']).toBe('1');
    });
    expect(values()[0]).toBe('1');
  });

  it('include those that an update has brought', async () => {
    await followed();
    machine.write('memory.low', '');
    store.containers.put(record('1', {}, { 'memory.low': '512' }));
    await until(() => machine.read('memory.low') === '512');
    machine.write('memory.low', '0\n');
    await until(() => machine.read('memory.low').startsWith('512'));
  });

  it('include the absence of swap, about which runc does not inform systemd', async () => {
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

  it('do not override a swap limit that the Engine has just changed', async () => {
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

  it('are watched even if the kernel lacks one of the files', async () => {
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

  it('are no longer watched when the container has ended', async () => {
    await followed();
    store.containers.put(record('1', { state: 'exited', pid: 0 }));
    machine.write('memory.oom.group', '0\n');
    store.containers.put(record('1', { id: engineId('c2'), state: 'exited', pid: 0 }));
    await settled();
    expect((await upkeep.limitsOf(record())).unified['memory.oom.group']).toBe('0');
    expect(values()[0]).toBe('0');
  });

  it('that cannot be checked end only that check', async () => {
    const asked = jest.spyOn(lock, 'run').mockRejectedValue(new Error('the group has gone'));
    store.containers.put(record());
    await until(() => asked.mock.calls.length === 1);
    asked.mockRestore();
    await settled();
  });
});
