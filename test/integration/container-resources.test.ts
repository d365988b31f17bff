import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import Long from 'long';
import type { cri } from '../../src/proto';
import { ContainerState } from '../../src/proto/enums';
import { CGROUP_VERSION, cpuShare, hugepageLimit, kernelLimits } from './support/cgroups';
import type { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import {
  containerStatus,
  createContainer,
  FOREVER,
  freshConfig,
  output,
  startedContainer,
  startPodTest,
  untilExited,
} from './support/pods';

/** A second CPU, if the machine has more than one. */
const LAST_CPU = String(cpus().length - 1);
const HAS_HUGETLB =
  CGROUP_VERSION === 2
    ? readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').includes('hugetlb')
    : existsSync('/sys/fs/cgroup/hugetlb/cgroup.procs');

describe('the resources of a container', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  const started = (resources: cri.ILinuxContainerResources, script = FOREVER): Promise<string> =>
    startedContainer(test, pod, freshConfig(script, { linux: { resources } }));

  /** ContainerStatus.resources, with numbers as numbers. */
  const reported = async (id: string): Promise<Record<string, unknown>> => {
    const linux = (await containerStatus(test, id)).resources?.linux ?? {};
    const plain = (value: unknown): unknown => (Long.isLong(value) ? value.toNumber() : value);
    return Object.fromEntries(Object.entries(linux).map(([key, value]) => [key, plain(value)]));
  };
  const update = (container_id: string, linux: cri.ILinuxContainerResources | null): Promise<unknown> =>
    test.client.call('UpdateContainerResources', { container_id, linux });

  const INITIAL = {
    cpu_shares: 256,
    cpu_quota: 20_000,
    cpu_period: 100_000,
    memory_limit_in_bytes: 32 << 20,
    memory_swap_limit_in_bytes: 48 << 20,
    oom_score_adj: 900,
    cpuset_cpus: '0',
  };

  it('are enforced by the kernel, and returned by the status', async () => {
    // kubelet sends every page size, with 0.
    const id = await started({ ...INITIAL, hugepage_limits: [{ page_size: '2MB', limit: 0 }] });
    expect(await kernelLimits(id)).toMatchObject({
      memory: 32 << 20,
      memorySwap: 48 << 20,
      ...cpuShare(256),
      cpuQuota: 20_000,
      cpuPeriod: 100_000,
      cpusetCpus: '0',
    });
    expect(await output(test, id, 'cat /proc/self/oom_score_adj')).toBe('900');
    expect(await reported(id)).toMatchObject(INITIAL);
  });

  it('allow no swap in addition to a memory limit unless requested', async () => {
    const id = await started({ memory_limit_in_bytes: 32 << 20 });
    expect(await kernelLimits(id)).toMatchObject({ memory: 32 << 20, memorySwap: 32 << 20 });
  });

  describe('after an update', () => {
    it('apply at once while the container runs, and stay', async () => {
      const id = await started(INITIAL);
      await update(id, { memory_limit_in_bytes: 64 << 20, cpu_quota: 50_000, cpu_shares: 512 });
      const limits = {
        // The swap itself stays at 16 MiB.
        ...{ memory: 64 << 20, memorySwap: 80 << 20 },
        ...{ ...cpuShare(512), cpuQuota: 50_000, cpuPeriod: 100_000, cpusetCpus: '0' },
      };
      expect(await kernelLimits(id)).toMatchObject(limits);
      const status = {
        ...INITIAL,
        ...{ memory_limit_in_bytes: 64 << 20, memory_swap_limit_in_bytes: 80 << 20 },
        ...{ cpu_quota: 50_000, cpu_shares: 512 },
      };
      expect(await reported(id)).toMatchObject(status);
      await test.restart();
      expect(await reported(id)).toMatchObject(status);
    });

    it('may be lower, for another CPU, and without a CPU limit', async () => {
      const id = await started(INITIAL);
      await update(id, {
        memory_limit_in_bytes: 24 << 20,
        memory_swap_limit_in_bytes: 24 << 20,
        cpuset_cpus: LAST_CPU,
        cpu_quota: -1,
      });
      expect(await kernelLimits(id)).toMatchObject({
        ...{ memory: 24 << 20, memorySwap: 24 << 20, cpusetCpus: LAST_CPU, cpuQuota: -1 },
      });
      expect(await reported(id)).toMatchObject({ cpu_quota: -1, cpuset_cpus: LAST_CPU });
    });

    it('apply to a container that has not been started yet', async () => {
      const config = freshConfig(FOREVER, { linux: { resources: INITIAL } });
      const id = await createContainer(test, pod, config);
      await update(id, { cpuset_cpus: LAST_CPU });
      expect(await reported(id)).toMatchObject({ cpuset_cpus: LAST_CPU });
      await test.client.call('StartContainer', { container_id: id });
      expect((await kernelLimits(id)).cpusetCpus).toBe(LAST_CPU);
    });

    it('stay without an Engine call if the update is empty', async () => {
      const id = await started(INITIAL);
      const calls = await test.countEngineCalls(async () => {
        await update(id, null);
        await update(id, {});
      });
      expect(calls).toEqual({});
      expect(await reported(id)).toMatchObject(INITIAL);
    });

    it('stay if the new values are impossible', async () => {
      const id = await started(INITIAL);
      await expectFailure(update('0123456789', { cpu_shares: 2 }), 'NOT_FOUND', /container/);
      await expectFailure(update(id, { cpuset_cpus: 'all' }), 'INVALID_ARGUMENT', /linux\.cpuset_cpus/);
      await expectFailure(update(id, { cpu_period: -1 }), 'INVALID_ARGUMENT', /linux\.cpu_period/);
      // There is no such CPU. The Engine refuses, and the record keeps the present value.
      await expectFailure(update(id, { cpuset_cpus: '4000' }), 'INVALID_ARGUMENT', /4000/);
      const more = { container_id: id, annotations: { a: 'b' } };
      await expectFailure(test.client.call('UpdateContainerResources', more), 'UNIMPLEMENTED', /annotations/);
      await expectFailure(
        test.client.call('UpdateContainerResources', { container_id: id, windows: {} }),
        'UNIMPLEMENTED',
        /windows/,
      );
      expect(await kernelLimits(id)).toMatchObject({ cpusetCpus: '0' });
      expect(await reported(id)).toMatchObject(INITIAL);
    });
  });

  it('are separate from those of the pod, which kubelet writes: dockbridge only accepts its notification', async () => {
    const resources = { cpu_shares: 512, memory_limit_in_bytes: 1 << 28 };
    const tell = (pod_sandbox_id: string): Promise<unknown> =>
      test.client.call('UpdatePodSandboxResources', { pod_sandbox_id, overhead: {}, resources });
    expect(await test.countEngineCalls(() => tell(pod))).toEqual({});
    await expectFailure(tell('0123456789'), 'NOT_FOUND', /sandbox/);
  });

  it("limit the number of processes in cgroup v2's notation on any node", async () => {
    const id = await started({ unified: { 'pids.max': '50' } });
    expect(await kernelLimits(id)).toMatchObject({ pids: '50' });
    await update(id, { unified: { 'pids.max': '60' } });
    expect(await kernelLimits(id)).toMatchObject({ pids: '60' });
    expect(await reported(id)).toMatchObject({ unified: { 'pids.max': '60' } });
  });

  // The Engine API has no field for huge pages. If hugetlb cgroups are mounted (which is optional), dockbridge
  // writes them to the kernel.
  (HAS_HUGETLB ? it : it.skip)('limit huge pages', async () => {
    const hugepage_limits = [
      { page_size: '2MB', limit: 4 << 20 },
      { page_size: '1GB', limit: 0 },
    ];
    const id = await started({ hugepage_limits });
    expect(await hugepageLimit(id, '2MB')).toBe(4 << 20);
    await update(id, { hugepage_limits: [{ page_size: '2MB', limit: 8 << 20 }] });
    expect(await hugepageLimit(id, '2MB')).toBe(8 << 20);
    const check = async (): Promise<void> => {
      const limits = (await containerStatus(test, id)).resources?.linux?.hugepage_limits;
      expect(limits?.map(({ page_size, limit }) => [page_size, Number(limit)])).toEqual([['2MB', 8 << 20]]);
    };
    await check();
    await test.restart();
    await check();
    // 512 kB is not a page size of this machine. The container must not run without its limit.
    const odd = freshConfig(FOREVER, {
      linux: { resources: { hugepage_limits: [{ page_size: '512KB', limit: 1 }] } },
    });
    const other = await createContainer(test, pod, odd);
    await expectFailure(
      test.client.call('StartContainer', { container_id: other }),
      'FAILED_PRECONDITION',
      /hugetlb\.512KB/,
    );
    expect((await containerStatus(test, other)).state).toBe(ContainerState.CONTAINER_EXITED);
  });

  it('are refused if this node cannot enforce them, or if they are invalid', async () => {
    if (!HAS_HUGETLB) {
      await expectFailure(
        started({ hugepage_limits: [{ page_size: '2MB', limit: 1 << 21 }] }),
        'FAILED_PRECONDITION',
        CGROUP_VERSION === 2 ? /hugetlb/ : /hugepage_limits/,
      );
    }
    // cgroup v2 has no such file, and cgroup v1 has no unified files.
    const isV2 = CGROUP_VERSION === 2;
    const refusal = isV2 ? /memory\.no_such/ : /unified.*v2/;
    const unified = { 'memory.no_such': '1' };
    await expectFailure(started({ unified }), 'FAILED_PRECONDITION', refusal);
    if (!isV2) {
      const id = await started({ unified: { 'memory.oom.group': '1', 'memory.swap.max': '0' } });
      await expectFailure(update(id, { unified }), 'FAILED_PRECONDITION', /^linux\.unified.*v2/);
    }
    await expectFailure(started({ unified: { 'cgroup.kill': '1' } }), 'UNIMPLEMENTED', /unified/);
    await expectFailure(started({ oom_score_adj: 2000 }), 'INVALID_ARGUMENT', /oom_score_adj/);
  });

  it.each([
    // The kill comes before anybody watches the cgroup, so Engines often miss it. The kernel logs at most
    // ten such kills in 5 s.
    { desc: 'at once', script: 'dd if=/dev/zero of=/dev/null bs=20M', count: 1 },
    { desc: 'little by little', script: 'exec tail -n 1 /dev/zero', count: 8 },
  ])(
    'make a container that exceeds its memory $desc end with the reason OOMKilled',
    async ({ script, count }) => {
      const limit = { memory_limit_in_bytes: 15 << 20, memory_swap_limit_in_bytes: 15 << 20 };
      const ids = await Promise.all(Array.from({ length: count }, () => started(limit, script)));
      for (const id of ids) {
        await untilExited(test, id);
        // The first status already has the reason.
        expect(await containerStatus(test, id)).toMatchObject({
          state: ContainerState.CONTAINER_EXITED,
          exit_code: 137,
          reason: 'OOMKilled',
        });
      }
      await test.restart();
      for (const id of ids) expect((await containerStatus(test, id)).reason).toBe('OOMKilled');
    },
  );
});
