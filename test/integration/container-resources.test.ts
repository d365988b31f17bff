import type { cri } from '../../src/proto';
import { ContainerState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  FOREVER,
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

  it('reach the Engine and come back in the status', async () => {
    const resources = {
      cpu_shares: 256,
      cpu_quota: 20_000,
      cpu_period: 100_000,
      memory_limit_in_bytes: 32 << 20,
      oom_score_adj: 900,
      cpuset_cpus: '0',
    };
    // kubelet names every page size, with 0.
    const id = await started({ ...resources, hugepage_limits: [{ page_size: '2MB', limit: 0 }] });
    const { HostConfig } = (await engineGet(sharedDockerHost(), `/containers/${id}/json`)) as {
      HostConfig: object;
    };
    expect(HostConfig).toMatchObject({
      CpuShares: 256,
      CpuQuota: 20_000,
      CpuPeriod: 100_000,
      Memory: 32 << 20,
      // Equal: no swap.
      MemorySwap: 32 << 20,
      OomScoreAdj: 900,
      CpusetCpus: '0',
    });
    const linux = (await containerStatus(test, id)).resources?.linux;
    const number = (value: unknown): unknown => (typeof value === 'string' ? value : Number(value));
    expect(
      Object.fromEntries(
        Object.keys(resources).map((key) => [key, number(linux?.[key as keyof typeof resources])]),
      ),
    ).toEqual(resources);
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
