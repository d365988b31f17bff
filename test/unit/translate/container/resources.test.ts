import Long from 'long';
import {
  checkCgroupParent,
  clampOomScore,
  fromEngineResources,
  toCriResources,
  toEngineCgroupParent,
  toEngineResources,
  toEngineUpdate,
  updatedMemory,
} from '../../../../src/translate/container/resources';
import { codeAndField, thrownBy } from '../../support/errors';
import { decoded } from '../../support/wire';

type Given = Parameters<typeof decoded<'LinuxContainerResources'>>[1];
const translate = (given: Given, floor = -1000) =>
  toEngineResources(decoded('LinuxContainerResources', given), 'r', floor);

const UNSET = {
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuShares: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Memory: 0,
  MemorySwap: 0,
  OomScoreAdj: 0,
};

describe('toEngineResources', () => {
  it('is empty for an empty request', () => expect(toEngineResources(null, 'r', 0)).toEqual({}));

  it.each<{ desc: string; given: Given; engine: object }>([
    { desc: 'an empty message, where 0 means not set', given: {}, engine: {} },
    {
      desc: 'all fields',
      given: {
        cpu_period: 100_000,
        cpu_quota: 50_000,
        cpu_shares: 512,
        cpuset_cpus: '0-3',
        cpuset_mems: '0',
        memory_limit_in_bytes: 1 << 28,
        memory_swap_limit_in_bytes: 1 << 29,
        oom_score_adj: 937,
      },
      engine: {
        CpuPeriod: 100_000,
        CpuQuota: 50_000,
        CpuShares: 512,
        CpusetCpus: '0-3',
        CpusetMems: '0',
        Memory: 1 << 28,
        MemorySwap: 1 << 29,
        OomScoreAdj: 937,
      },
    },
    {
      desc: 'memory without swap means no swap',
      given: { memory_limit_in_bytes: 4096 },
      engine: { Memory: 4096, MemorySwap: 4096 },
    },
    {
      desc: 'unlimited swap',
      given: { memory_limit_in_bytes: 4096, memory_swap_limit_in_bytes: -1 },
      engine: { Memory: 4096, MemorySwap: -1 },
    },
    { desc: 'no quota', given: { cpu_quota: -1 }, engine: { CpuQuota: -1 } },
    { desc: 'a limit of processes', given: { unified: { 'pids.max': '100' } }, engine: { PidsLimit: 100 } },
    { desc: 'no limit of processes', given: { unified: { 'pids.max': 'max' } }, engine: { PidsLimit: -1 } },
    {
      desc: 'more than 4 GiB',
      given: { memory_limit_in_bytes: Long.fromNumber(2 ** 40) },
      engine: { Memory: 2 ** 40, MemorySwap: 2 ** 40 },
    },
    {
      desc: 'huge pages of every size, all 0, as kubelet sends them',
      given: { hugepage_limits: [{ page_size: '2MB' }, { page_size: '1GB', limit: 0 }] },
      engine: {},
    },
  ])('translates: $desc', ({ given, engine }) => expect(translate(given)).toEqual({ ...UNSET, ...engine }));

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'a negative memory limit',
      given: { memory_limit_in_bytes: -1 },
      error: 'INVALID_ARGUMENT r.memory_limit_in_bytes',
    },
    {
      desc: 'a swap limit below -1',
      given: { memory_swap_limit_in_bytes: -2 },
      error: 'INVALID_ARGUMENT r.memory_swap_limit_in_bytes',
    },
    { desc: 'negative shares', given: { cpu_shares: -1 }, error: 'INVALID_ARGUMENT r.cpu_shares' },
    { desc: 'a negative period', given: { cpu_period: -5 }, error: 'INVALID_ARGUMENT r.cpu_period' },
    { desc: 'a quota below -1', given: { cpu_quota: -2 }, error: 'INVALID_ARGUMENT r.cpu_quota' },
    {
      desc: 'a limit beyond 2^53',
      given: { memory_limit_in_bytes: Long.MAX_VALUE },
      error: 'INVALID_ARGUMENT r.memory_limit_in_bytes',
    },
    {
      desc: 'an OOM score that is too high',
      given: { oom_score_adj: 1001 },
      error: 'INVALID_ARGUMENT r.oom_score_adj',
    },
    {
      desc: 'an OOM score that is too low',
      given: { oom_score_adj: -1001 },
      error: 'INVALID_ARGUMENT r.oom_score_adj',
    },
    {
      desc: 'an invalid size of swap',
      given: { unified: { 'memory.swap.max': '-4096' } },
      error: 'INVALID_ARGUMENT r.unified["memory.swap.max"]',
    },
    {
      desc: 'an invalid number of processes',
      given: { unified: { 'pids.max': '-1' } },
      error: 'INVALID_ARGUMENT r.unified["pids.max"]',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => translate(given))).toBe(error));

  it.each([
    { desc: 'for every container on cgroup v2', memory: 0, max: '0', got: 0 },
    {
      desc: 'with some swap and no memory limit, which the Engine cannot set',
      memory: 0,
      max: '4096',
      got: 0,
    },
    { desc: 'with a limit and no swap', memory: 100, max: '0', got: 100 },
    { desc: 'with a limit and some swap', memory: 100, max: '50', got: 150 },
    { desc: 'with a limit and all swap', memory: 100, max: 'max', got: -1 },
  ])('accepts the unified values of kubelet $desc', ({ memory, max, got }) => {
    const unified = { 'memory.oom.group': '1', 'memory.swap.max': max };
    expect(translate({ unified, memory_limit_in_bytes: memory })).toMatchObject({
      Memory: memory,
      MemorySwap: got,
    });
  });

  it.each([
    { wanted: -998, floor: -1000, got: -998 },
    { wanted: -998, floor: 0, got: 0 },
    { wanted: -998, floor: -500, got: -500 },
    { wanted: 1000, floor: 0, got: 1000 },
  ])('clamps oom_score_adj $wanted with the floor $floor to $got', ({ wanted, floor, got }) => {
    expect(clampOomScore(wanted, floor)).toBe(got);
    expect(translate({ oom_score_adj: wanted }, floor).OomScoreAdj).toBe(got);
  });
});

describe('reading resources back', () => {
  it("returns the Engine's values as CRI's", () => {
    const given = {
      cpu_period: 100_000,
      cpu_quota: 50_000,
      cpu_shares: 512,
      cpuset_cpus: '0-3',
      cpuset_mems: '0',
      memory_limit_in_bytes: 2 ** 33,
      memory_swap_limit_in_bytes: 2 ** 34,
      oom_score_adj: 937,
    };
    expect(toCriResources(fromEngineResources(translate(given)))).toEqual({
      linux: { ...given, hugepage_limits: [], unified: {} },
    });
  });

  it('returns unset values if the Engine reports none', () => {
    expect(fromEngineResources({})).toEqual({
      cpuPeriod: 0,
      cpuQuota: 0,
      cpuShares: 0,
      cpusetCpus: '',
      cpusetMems: '',
      memoryLimit: 0,
      memorySwapLimit: 0,
      oomScoreAdj: 0,
      pidsLimit: 0,
      hugepages: {},
      unified: {},
    });
  });
});

describe('toCriResources', () => {
  it("includes the values that the kernel got in addition to the Engine's", () => {
    const kernel = { hugepages: { '2MB': '18446744073709551615' }, unified: { 'memory.high': '5' } };
    const { linux } = toCriResources(fromEngineResources({ PidsLimit: 7 }, kernel));
    expect(linux?.hugepage_limits).toEqual([{ page_size: '2MB', limit: Long.MAX_UNSIGNED_VALUE }]);
    expect(linux?.unified).toEqual({ 'memory.high': '5', 'pids.max': '7' });
  });
});

describe('toEngineUpdate', () => {
  const CURRENT = fromEngineResources({ CpuShares: 100, Memory: 4096, MemorySwap: 6144 });
  const update = (given: Given, current: object = {}) =>
    toEngineUpdate(decoded('LinuxContainerResources', given), { ...CURRENT, ...current }, 'r');

  it.each<{ desc: string; given: Given; current?: object; engine: object | undefined }>([
    { desc: 'no change', given: {}, engine: undefined },
    { desc: 'fields that the Engine cannot change', given: { oom_score_adj: 5 }, engine: undefined },
    {
      desc: 'only the fields that are set',
      given: { cpu_shares: 200, cpuset_cpus: '1' },
      engine: { CpuShares: 200, CpusetCpus: '1' },
    },
    { desc: 'no quota', given: { cpu_quota: -1 }, engine: { CpuQuota: -1 } },
    {
      desc: 'memory, with the present swap',
      given: { memory_limit_in_bytes: 8192 },
      engine: { Memory: 8192, MemorySwap: 10240 },
    },
    {
      desc: 'memory, with the present unlimited swap',
      given: { memory_limit_in_bytes: 8192 },
      current: { memorySwapLimit: -1 },
      engine: { Memory: 8192, MemorySwap: -1 },
    },
    {
      desc: 'memory without an earlier limit, which means no swap',
      given: { memory_limit_in_bytes: 8192 },
      current: { memoryLimit: 0, memorySwapLimit: 0 },
      engine: { Memory: 8192, MemorySwap: 8192 },
    },
    {
      desc: 'memory and swap',
      given: { memory_limit_in_bytes: 8192, memory_swap_limit_in_bytes: 9000 },
      engine: { Memory: 8192, MemorySwap: 9000 },
    },
    { desc: 'only swap', given: { memory_swap_limit_in_bytes: 9000 }, engine: { MemorySwap: 9000 } },
    {
      desc: 'swap in the form of cgroup v2, with the present memory',
      given: { unified: { 'memory.swap.max': '4' } },
      engine: { MemorySwap: 4100 },
    },
    {
      desc: 'the same limit again',
      given: { memory_limit_in_bytes: 4096 },
      engine: { Memory: 4096 },
    },
  ])('translates: $desc', ({ given, current, engine }) => expect(update(given, current)).toEqual(engine));
});

describe('the memory limits in force after an update', () => {
  const known = fromEngineResources({ Memory: 1024, MemorySwap: 1024 });

  it.each([
    { desc: 'swap without a limit', update: { MemorySwap: -1 }, memory: 1024, swap: -1 },
    { desc: 'both', update: { Memory: 2048, MemorySwap: 4096 }, memory: 2048, swap: 4096 },
    { desc: 'neither', update: { CpuShares: 512 }, memory: 1024, swap: 1024 },
    { desc: 'no update', update: undefined, memory: 1024, swap: 1024 },
  ])('are those of the update, or else the former ones: $desc', ({ update, memory, swap }) =>
    expect(updatedMemory(known, update)).toEqual({ ...known, memoryLimit: memory, memorySwapLimit: swap }),
  );
});

describe('toEngineCgroupParent', () => {
  it.each([
    { driver: 'cgroupfs', given: '/kubepods/burstable/podu1', parent: '/kubepods/burstable/podu1' },
    {
      driver: 'systemd',
      given: '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu1.slice',
      parent: 'kubepods-burstable-podu1.slice',
    },
    { driver: 'systemd', given: 'kubepods-podu1.slice', parent: 'kubepods-podu1.slice' },
    { driver: 'systemd', given: '/test.slice', parent: 'test.slice' },
    { driver: 'systemd', given: '/a.slice/a-b.slice/', parent: 'a-b.slice' },
    { driver: 'systemd', given: '/', parent: '' },
    { driver: 'cgroupfs', given: '/test.slice', parent: '/test.slice' },
    { driver: 'systemd', given: '', parent: '' },
    { driver: 'cgroupfs', given: '', parent: '' },
    { driver: 'systemd', given: '/-.slice', parent: '-.slice' },
    { driver: 'none', given: '/a/b', parent: '/a/b' },
  ])('translates "$given" for the driver $driver to "$parent"', ({ driver, given, parent }) =>
    expect(toEngineCgroupParent(given, driver, 'f')).toBe(parent),
  );

  it.each(['/kubepods/burstable/podu1', '/kubepods.slice/podu1', '.slice', 'a b.slice'])(
    'refuses %s for systemd',
    (given) => {
      expect(thrownBy(() => toEngineCgroupParent(given, 'systemd', 'f'))).toMatch(
        /^INVALID_ARGUMENT f: ".*" is not a slice/,
      );
    },
  );
});

describe('checkCgroupParent', () => {
  it.each(['', '/', 'a', '/a/b', '/a//b/', '/a/./b', '/a/..b', `/${'a'.repeat(255)}`])(
    'accepts "%s"',
    (given) => {
      expect(checkCgroupParent(given, 'f')).toBe(given);
    },
  );

  it.each([
    ['/a/../b', /^INVALID_ARGUMENT f: "\/a\/\.\.\/b" leads upwards/],
    ['..', /leads upwards/],
    ['/a\0b', /NUL/],
    [`/${'a'.repeat(256)}`, /a name in it is longer than 255 bytes/],
    ['/a'.repeat(2048), /is longer than 4095 bytes/],
  ])('refuses %j', (given, why) => {
    expect(thrownBy(() => checkCgroupParent(given, 'f'))).toMatch(why);
  });
});
