import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readKernelValues, restoreLostValues, writeKernelValues } from '../../../src/containers/limits';
import { silentLogger } from '../../../src/lib/logger';
import type { KernelValues } from '../../../src/store/records';
import { fromEngineResources } from '../../../src/translate/container/resources';
import { rejectionOf } from '../support/errors';
import { containerRecord, engineId } from '../support/records';
import { V2Machine } from './support/v2-machine';

const ID = engineId('c1');
const VALUES = { hugepages: { '2MB': '4096' }, unified: { 'memory.high': '5', 'memory.oom.group': '1' } };

describe('kernel values on cgroup v2', () => {
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

  it('are written to the files of the container’s group', async () => {
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
      // Cannot be read: as it is known.
      unified: { 'memory.high': '4096', 'memory.oom.group': '1' },
    });
  });

  it('are written again where they were lost; those that were changed since stay', async () => {
    machine.write('hugetlb.2MB.max', 'max\n');
    machine.write('memory.high', '4096\n');
    machine.write('memory.oom.group', '0\n');
    const { resources, complete } = await restoreLostValues(record(), silentLogger, machine.proc);
    const { hugepages, unified } = resources;
    expect(complete).toBe(true);
    expect(hugepages).toEqual({ '2MB': '4096' });
    expect(unified).toEqual({ 'memory.high': '4096', 'memory.oom.group': '1' });
  });

  it('of a container that has ended are of no interest', async () => {
    await write(VALUES, 43);
    expect(file('memory.high')).toBe('');
    expect(await readKernelValues(record(43), machine.proc)).toEqual(record().resources);
  });

  it('never go to another process’ group: pids are used again', async () => {
    writeFileSync(join(machine.proc, '42/cgroup'), '0::/system.slice\n');
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION/);
    expect(await readKernelValues(record(), machine.proc)).toEqual(record().resources);
  });

  it('of a process that has ended but was not waited for are of no interest', async () => {
    writeFileSync(join(machine.proc, '42/cgroup'), '0::/\n');
    writeFileSync(join(machine.proc, '42/stat'), '42 (a) S b) Z 1 42');
    await write();
    expect([file('memory.high'), logger.warn.mock.calls]).toEqual(['', []]);
  });

  it('that a container may run without are written where they can be, and told of elsewhere', async () => {
    rmSync(join(machine.group, 'memory.oom.group'));
    const unified = { 'memory.oom.group': '1', 'memory.swap.max': '0', 'memory.high': '7' };
    await write({ hugepages: {}, unified });
    expect(file('memory.high')).toBe('7');
    expect(logger.warn).toHaveBeenCalledTimes(2);
    expect(() => file('memory.oom.group')).toThrow(/ENOENT/);
    const swap = { hugepages: {}, unified: { 'memory.swap.max': '4096' } };
    expect(await rejectionOf(write(swap))).toMatch(/^FAILED_PRECONDITION memory\.swap\.max/);
  });

  it('that the kernel refuses are an error that names the file', async () => {
    rmSync(join(machine.group, 'memory.high'));
    mkdirSync(join(machine.group, 'memory.high'));
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION memory\.high cannot be set to "5"/);
  });
});
