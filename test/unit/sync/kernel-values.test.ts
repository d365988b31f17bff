import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readKernelValues, writeKernelValues } from '../../../src/sync/kernel-values';
import type { KernelValues } from '../../../src/store/records';
import { fromEngineResources } from '../../../src/translate/resources';
import { rejectionOf } from '../support/errors';
import { containerRecord, engineId } from '../support/records';

const ID = engineId('c1');
const VALUES = { hugepages: { '2MB': '4096' }, unified: { 'memory.high': '5', 'memory.oom.group': '1' } };

/** A machine with cgroup v2 in a directory: its /proc, and the group of container ID, whose process is 42. */
describe('kernel values on cgroup v2', () => {
  let root: string;
  let group: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kernel-values-'));
    group = join(root, 'cgroup/kubepods/pod1', ID);
    for (const directory of ['proc/self', 'proc/42']) mkdirSync(join(root, directory), { recursive: true });
    mkdirSync(group, { recursive: true });
    const mount = `30 1 0:26 / ${join(root, 'cgroup')} rw - cgroup2 cgroup rw\n`;
    writeFileSync(join(root, 'proc/self/mountinfo'), mount);
    writeFileSync(join(root, 'proc/42/cgroup'), `0::/kubepods/pod1/${ID}\n`);
    writeFileSync(join(root, 'proc/42/stat'), '42 (a) Z b) S 1 42');
    for (const name of ['hugetlb.2MB.max', 'memory.high', 'memory.oom.group'])
      writeFileSync(join(group, name), '');
    logger.warn.mockClear();
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const proc = (): string => join(root, 'proc');
  const record = (pid = 42) =>
    containerRecord({
      id: ID,
      state: 'running',
      pid,
      resources: fromEngineResources({ CpuShares: 2 }, VALUES),
    });
  const logger = { warn: jest.fn() };
  const write = (values: KernelValues = VALUES, pid = 42) =>
    writeKernelValues(record(pid), values, logger, proc());
  const file = (name: string): string => readFileSync(join(group, name), 'utf8');

  it('are written to the files of the container’s group', async () => {
    await write();
    expect([file('hugetlb.2MB.max'), file('memory.high'), file('memory.oom.group')]).toEqual([
      '4096',
      '5',
      '1',
    ]);
  });

  it('are read back as the kernel has them', async () => {
    rmSync(join(group, 'memory.oom.group'));
    writeFileSync(join(group, 'memory.high'), '4096\n');
    writeFileSync(join(group, 'hugetlb.2MB.max'), '0\n');
    expect(await readKernelValues(record(), proc())).toEqual({
      ...fromEngineResources({ CpuShares: 2 }),
      hugepages: { '2MB': '0' },
      // Cannot be read: as it is known.
      unified: { 'memory.high': '4096', 'memory.oom.group': '1' },
    });
  });

  it('of a container that has ended are of no interest', async () => {
    await write(VALUES, 43);
    expect(file('memory.high')).toBe('');
    expect(await readKernelValues(record(43), proc())).toEqual(record().resources);
  });

  it('never go to another process’ group: pids are used again', async () => {
    writeFileSync(join(root, 'proc/42/cgroup'), '0::/system.slice\n');
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION/);
    expect(await readKernelValues(record(), proc())).toEqual(record().resources);
  });

  it('of a process that has ended but was not waited for are of no interest', async () => {
    writeFileSync(join(root, 'proc/42/cgroup'), '0::/\n');
    writeFileSync(join(root, 'proc/42/stat'), '42 (a) S b) Z 1 42');
    await write();
    expect([file('memory.high'), logger.warn.mock.calls]).toEqual(['', []]);
  });

  it('that a container may run without are written where they can be, and told of elsewhere', async () => {
    rmSync(join(group, 'memory.oom.group'));
    const unified = { 'memory.oom.group': '1', 'memory.swap.max': '0', 'memory.high': '7' };
    await write({ hugepages: {}, unified });
    expect(file('memory.high')).toBe('7');
    expect(logger.warn).toHaveBeenCalledTimes(2);
    expect(() => file('memory.oom.group')).toThrow(/ENOENT/);
    const swap = { hugepages: {}, unified: { 'memory.swap.max': '4096' } };
    expect(await rejectionOf(write(swap))).toMatch(/^FAILED_PRECONDITION memory\.swap\.max/);
  });

  it('that the kernel refuses are an error that names the file', async () => {
    rmSync(join(group, 'memory.high'));
    mkdirSync(join(group, 'memory.high'));
    expect(await rejectionOf(write())).toMatch(/^FAILED_PRECONDITION memory\.high cannot be set to "5"/);
  });
});
