import Long from 'long';
import type { cri } from '../../src/proto';
import { ContainerState } from '../../src/proto/enums';
import { kernelLimits } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  output,
  runPod,
  startedContainer,
  untilExited,
} from './support/pods';

describe('The resources of a container', () => {
  let test: TestDaemon;
  let pod: string;
  let names = 0;
  beforeAll(async () => {
    test = await TestDaemon.start();
    pod = await runPod(test);
  });
  afterAll(() => test.stop());

  const started = (resources: cri.ILinuxContainerResources, script = FOREVER): Promise<string> =>
    startedContainer(test, pod, containerConfig(`c${++names}`, script, { linux: { resources } }));

  /** ContainerStatus.resources, numbers as such. */
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

  it('are what the kernel enforces, and come back in the status', async () => {
    // kubelet names every page size, with 0.
    const id = await started({ ...INITIAL, hugepage_limits: [{ page_size: '2MB', limit: 0 }] });
    expect(await kernelLimits(id)).toEqual({
      memory: 32 << 20,
      memorySwap: 48 << 20,
      cpuShares: 256,
      cpuQuota: 20_000,
      cpuPeriod: 100_000,
      cpusetCpus: '0',
    });
    expect(await output(test, id, 'cat /proc/self/oom_score_adj')).toBe('900');
    expect(await reported(id)).toMatchObject(INITIAL);
  });

  it('allow no swap beside a memory limit unless told to', async () => {
    const id = await started({ memory_limit_in_bytes: 32 << 20 });
    expect(await kernelLimits(id)).toMatchObject({ memory: 32 << 20, memorySwap: 32 << 20 });
  });

  describe('can be updated', () => {
    it('while the container runs, at once, and stay so', async () => {
      const id = await started(INITIAL);
      await update(id, { memory_limit_in_bytes: 64 << 20, cpu_quota: 50_000, cpu_shares: 512 });
      const limits = {
        // Swap itself stays what it was: 16 MiB.
        ...{ memory: 64 << 20, memorySwap: 80 << 20 },
        ...{ cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, cpusetCpus: '0' },
      };
      expect(await kernelLimits(id)).toEqual(limits);
      const status = {
        ...INITIAL,
        ...{ memory_limit_in_bytes: 64 << 20, memory_swap_limit_in_bytes: 80 << 20 },
        ...{ cpu_quota: 50_000, cpu_shares: 512 },
      };
      expect(await reported(id)).toMatchObject(status);
      await test.restart();
      expect(await reported(id)).toMatchObject(status);
    });

    it('downwards, to another CPU, and without a CPU limit', async () => {
      const id = await started(INITIAL);
      await update(id, {
        memory_limit_in_bytes: 24 << 20,
        memory_swap_limit_in_bytes: 24 << 20,
        cpuset_cpus: '1',
        cpu_quota: -1,
      });
      expect(await kernelLimits(id)).toMatchObject({
        ...{ memory: 24 << 20, memorySwap: 24 << 20, cpusetCpus: '1', cpuQuota: -1 },
      });
      expect(await reported(id)).toMatchObject({ cpu_quota: -1, cpuset_cpus: '1' });
    });

    it('before the container is started', async () => {
      const config = containerConfig(`c${++names}`, FOREVER, { linux: { resources: INITIAL } });
      const id = await createContainer(test, pod, config);
      await update(id, { cpuset_cpus: '1' });
      expect(await reported(id)).toMatchObject({ cpuset_cpus: '1' });
      await test.client.call('StartContainer', { container_id: id });
      expect((await kernelLimits(id)).cpusetCpus).toBe('1');
    });

    it('with nothing, which asks the Engine nothing', async () => {
      const id = await started(INITIAL);
      const calls = await test.countEngineCalls(async () => {
        await update(id, null);
        await update(id, {});
      });
      expect(calls).toEqual({});
      expect(await reported(id)).toMatchObject(INITIAL);
    });

    it('with one call and a look', async () => {
      const id = await started(INITIAL);
      expect(await test.countEngineCalls(() => update(id, { cpu_shares: 100 }))).toEqual({
        updateContainer: 1,
        inspectContainer: 1,
      });
    });

    it('but not to what cannot be', async () => {
      const id = await started(INITIAL);
      await expectFailure(update('0123456789', { cpu_shares: 2 }), 'NOT_FOUND', /container/);
      await expectFailure(update(id, { cpuset_cpus: 'all' }), 'INVALID_ARGUMENT', /linux\.cpuset_cpus/);
      await expectFailure(update(id, { cpu_period: -1 }), 'INVALID_ARGUMENT', /linux\.cpu_period/);
      // There is no such CPU: the Engine says so, and the record still says what is.
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

  it('of a pod are kubelet’s to write: telling us is enough', async () => {
    const resources = { cpu_shares: 512, memory_limit_in_bytes: 1 << 28 };
    const tell = (pod_sandbox_id: string): Promise<unknown> =>
      test.client.call('UpdatePodSandboxResources', { pod_sandbox_id, overhead: {}, resources });
    expect(await test.countEngineCalls(() => tell(pod))).toEqual({});
    await expectFailure(tell('0123456789'), 'NOT_FOUND', /sandbox/);
  });

  it('refuse what the Engine cannot enforce', async () => {
    await expectFailure(
      started({ hugepage_limits: [{ page_size: '2MB', limit: 1 << 21 }] }),
      'UNIMPLEMENTED',
      /hugepage_limits\[0\]/,
    );
    await expectFailure(started({ unified: { 'memory.high': '1' } }), 'UNIMPLEMENTED', /unified/);
    await expectFailure(started({ oom_score_adj: 2000 }), 'INVALID_ARGUMENT', /oom_score_adj/);
  });

  it('end a container that takes more memory as OOMKilled, each time', async () => {
    const limit = { memory_limit_in_bytes: 16 << 20 };
    const ids = await Promise.all(
      Array.from({ length: 8 }, () => started(limit, 'exec tail -n 1 /dev/zero')),
    );
    for (const id of ids) {
      await untilExited(test, id);
      // What the first look says, not a later one.
      expect(await containerStatus(test, id)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exit_code: 137,
        reason: 'OOMKilled',
      });
    }
    await test.restart();
    for (const id of ids) expect((await containerStatus(test, id)).reason).toBe('OOMKilled');
  });
});
