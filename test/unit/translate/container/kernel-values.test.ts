import {
  hasKernelValues,
  isOptional,
  kernelFiles,
  lostValues,
  mergedKernelValues,
  requireWritable,
  toKernelValues,
  vitalValues,
} from '../../../../src/translate/container/kernel-values';
import { codeAndField } from '../../support/errors';
import { decoded } from '../../support/wire';

type Given = Parameters<typeof decoded<'LinuxContainerResources'>>[1];
const values = (given: Given) => toKernelValues(decoded('LinuxContainerResources', given), 'r');
const HUGE = { hugepages: { '2MB': '4096' }, unified: {} };
const RAW = { hugepages: {}, unified: { 'memory.high': '5' } };
const NONE = { hugepages: {}, unified: {} };

describe('toKernelValues', () => {
  it('returns only values for which the Engine has no field', () => {
    expect(toKernelValues(null, 'r')).toEqual(NONE);
    const unified = {
      'memory.swap.max': 'max',
      'pids.max': '2',
      'memory.high': '5',
      'hugetlb.2MB.rsvd.max': '0',
    };
    expect(() => values({ unified })).toThrow(/hugetlb\.2MB/);
    delete (unified as Record<string, string>)['hugetlb.2MB.rsvd.max'];
    const hugepage_limits = [{ page_size: '2MB', limit: 4096 }, { page_size: '1GB' }];
    expect(values({ unified, hugepage_limits })).toEqual({ ...HUGE, unified: RAW.unified });
  });

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'a page size with a path in it',
      given: { hugepage_limits: [{ page_size: '../x', limit: 1 }] },
      error: 'INVALID_ARGUMENT r.hugepage_limits[0].page_size',
    },
    {
      desc: 'a key with a path in it',
      given: { unified: { '../memory.max': '1' } },
      error: 'UNIMPLEMENTED r.unified["../memory.max"]',
    },
    {
      desc: 'a value that would kill the container',
      given: { unified: { 'cgroup.kill': '1' } },
      error: 'UNIMPLEMENTED r.unified["cgroup.kill"]',
    },
    {
      desc: 'no value',
      given: { unified: { 'memory.high': '' } },
      error: 'INVALID_ARGUMENT r.unified["memory.high"]',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => values(given))).toBe(error));
});

describe('requireWritable', () => {
  const V1 = { cgroupVersion: 1, localEngine: true, hugetlb: true } as const;
  const V2 = { ...V1, cgroupVersion: 2 } as const;

  it('accepts values that can be written, or no values', () => {
    requireWritable(NONE, { cgroupVersion: undefined, localEngine: false, hugetlb: false }, 'r');
    requireWritable(HUGE, V1, 'r');
    requireWritable(RAW, V2, 'r');
    // kubelet sends this value with every container, which must start without it.
    const oomGroup = { hugepages: {}, unified: { 'memory.oom.group': '1' } };
    requireWritable(oomGroup, { ...V2, localEngine: false }, 'r');
    expect(hasKernelValues(oomGroup)).toBe(true);
    expect(hasKernelValues(vitalValues(oomGroup))).toBe(false);
  });

  it.each([
    { desc: 'raw values on cgroup v1', wanted: RAW, node: V1, error: 'FAILED_PRECONDITION r.unified' },
    {
      desc: 'huge pages without their cgroups',
      wanted: HUGE,
      node: { ...V1, hugetlb: false },
      error: 'FAILED_PRECONDITION r.hugepage_limits',
    },
    {
      desc: 'values for an Engine on another machine',
      wanted: RAW,
      node: { ...V2, localEngine: false },
      error: 'UNIMPLEMENTED r.unified',
    },
  ])('refuses $desc', ({ wanted, node, error }) =>
    expect(codeAndField(() => requireWritable(wanted, node, 'r'))).toBe(error),
  );
});

it('kernelFiles returns the file names of the given cgroup version', () => {
  expect(kernelFiles(HUGE, 1)).toEqual([
    { controller: 'hugetlb', file: 'hugetlb.2MB.limit_in_bytes', value: '4096' },
  ]);
  expect(kernelFiles({ ...HUGE, unified: RAW.unified }, 2)).toEqual([
    { controller: 'hugetlb', file: 'hugetlb.2MB.max', value: '4096' },
    { controller: 'memory', file: 'memory.high', value: '5' },
  ]);
});

it('mergedKernelValues adds new values and replaces known ones', () => {
  const known = { ...HUGE, unified: { 'memory.high': '6', 'memory.low': '1' } };
  expect(mergedKernelValues(known, RAW)).toEqual({
    ...HUGE,
    unified: { 'memory.high': '5', 'memory.low': '1' },
  });
});

describe('lostValues', () => {
  it.each([
    { key: 'memory.high', wanted: '4096', now: 'max' },
    { key: 'memory.swap.max', wanted: '0', now: 'max' },
    { key: 'io.max', wanted: '8:0 rbps=1', now: '' },
    { key: 'memory.min', wanted: '4096', now: '0' },
    { key: 'io.weight', wanted: 'default 50', now: 'default 100' },
  ])('returns the values where the kernel has its default: $key', ({ key, wanted, now }) => {
    const values = (value: string) => ({ hugepages: {}, unified: { [key]: value } });
    expect(lostValues(values(wanted), values(now))).toEqual(values(wanted));
    expect(lostValues(values(wanted), values(wanted))).toEqual(NONE);
    // The value comes from an update, or is rounded by the kernel.
    expect(lostValues(values(wanted), values('8192'))).toEqual(NONE);
  });

  it.each(['max', '9223372036854771712'])('returns a huge page limit where the kernel has %s', (now) => {
    const current = { hugepages: { '2MB': now }, unified: {} };
    expect(lostValues(HUGE, current)).toEqual(HUGE);
    expect(lostValues(HUGE, { ...current, hugepages: { '2MB': '0' } })).toEqual(NONE);
    expect(lostValues(HUGE, NONE)).toEqual(NONE);
  });
});

describe('memory.swap.max', () => {
  const swap = (max: string, over: Given = {}, memory = 0) =>
    toKernelValues(
      decoded('LinuxContainerResources', { unified: { 'memory.swap.max': max }, ...over }),
      'r',
      memory,
    ).unified;

  it('is written by dockbridge only without a memory limit, because the Engine cannot set it then', () => {
    expect(swap('0')).toEqual({ 'memory.swap.max': '0' });
    expect(swap('4096')).toEqual({ 'memory.swap.max': '4096' });
    expect(swap('max')).toEqual({});
    expect(swap('4096', { memory_limit_in_bytes: 1 << 23 })).toEqual({});
    expect(swap('4096', {}, 1 << 23)).toEqual({});
    expect(swap('4096', { memory_swap_limit_in_bytes: -1 })).toEqual({});
  });

  it('may stay unset only if 0 is requested and there is no file', () => {
    const file = (value: string) => ({ controller: 'memory', file: 'memory.swap.max', value });
    expect(hasKernelValues(vitalValues({ hugepages: {}, unified: swap('0') }))).toBe(false);
    expect(isOptional(file('0'), 'ENOENT')).toBe(true);
    expect(isOptional(file('0'), 'EACCES')).toBe(false);
    expect(isOptional(file('1'), 'ENOENT')).toBe(false);
  });
});
