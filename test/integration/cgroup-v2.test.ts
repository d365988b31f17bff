import { execFile } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ContainerState } from '../../src/proto/enums';
import type { cri } from '../../src/proto';
import { CGROUP_VERSION, groupFile, pidOf } from './support/cgroups';
import type { TestDaemon } from './support/daemon';
import { engineCall, engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerStatus,
  exec,
  FOREVER,
  freshConfig,
  output,
  podConfig,
  runPod,
  startedContainer,
  startPodTest,
  untilExited,
  untilStore,
} from './support/pods';

const MIB = 2 ** 20;

// A machine with cgroup v1 has none of these files. For it, the guest of `make guest-test` runs these tests.
(CGROUP_VERSION === 2 ? describe : describe.skip)('on cgroup v2', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  const started = (resources: cri.ILinuxContainerResources, script = FOREVER): Promise<string> =>
    startedContainer(test, pod, freshConfig(script, { linux: { resources } }));
  const update = (container_id: string, linux: cri.ILinuxContainerResources): Promise<unknown> =>
    test.client.call('UpdateContainerResources', { container_id, linux });
  /** A memory file of the container's cgroup. */
  const kernel = (id: string, file: string): Promise<string> => groupFile(id, 'memory', '', file);
  const values = async (id: string): Promise<string[]> =>
    Promise.all(['memory.high', 'memory.oom.group', 'memory.swap.max'].map((file) => kernel(id, file)));

  const UNIFIED = {
    'memory.high': String(48 * MIB),
    'memory.oom.group': '1',
    'memory.swap.max': '0',
  };
  const LIMIT = { memory_limit_in_bytes: 64 * MIB };

  describe('the unified values of CRI', () => {
    it('are written to the kernel, and returned by the status', async () => {
      const id = await started({ ...LIMIT, unified: UNIFIED });
      expect(await values(id)).toEqual([String(48 * MIB), '1', '0']);
      expect((await containerStatus(test, id)).resources?.linux?.unified).toMatchObject({
        'memory.high': String(48 * MIB),
        'memory.oom.group': '1',
      });
    });

    it('change while the container runs, and stay when another value changes', async () => {
      const id = await started({ ...LIMIT, unified: UNIFIED });
      await update(id, { unified: { 'memory.high': String(32 * MIB) } });
      expect(await values(id)).toEqual([String(32 * MIB), '1', '0']);
      await update(id, { memory_limit_in_bytes: 80 * MIB, cpu_shares: 512 });
      expect(await kernel(id, 'memory.max')).toBe(String(80 * MIB));
      expect(await values(id)).toEqual([String(32 * MIB), '1', '0']);
      await test.restart();
      const linux = (await containerStatus(test, id)).resources?.linux;
      expect(linux?.unified).toMatchObject({ 'memory.high': String(32 * MIB), 'memory.oom.group': '1' });
      expect(await values(id)).toEqual([String(32 * MIB), '1', '0']);
    });

    it('are written again after the Engine has restarted the container', async () => {
      const id = await started({ ...LIMIT, unified: UNIFIED });
      const pid = await pidOf(id);
      await engineCall(sharedDockerHost(), 'POST', `/containers/${id}/restart?t=0`);
      await untilStore(test, () => {
        const now = test.daemon.store.containers.get(id);
        return now?.state === 'running' && now.pid !== pid;
      });
      expect(await values(id)).toEqual([String(48 * MIB), '1', '0']);
    });

    it("survive a reload of systemd's units", async () => {
      const { CgroupDriver } = (await engineGet(sharedDockerHost(), '/info')) as { CgroupDriver: string };
      // With the driver cgroupfs, systemd does not know the cgroup.
      if (CgroupDriver !== 'systemd') return;
      const id = await started({ ...LIMIT, cpu_shares: 256, unified: UNIFIED });
      await promisify(execFile)('systemctl', ['daemon-reload']);
      expect(await kernel(id, 'memory.max')).toBe(String(64 * MIB));
      // systemd resets values for which it has no property. The kernel notifies the daemon of the change.
      const end = Date.now() + 30_000;
      const wanted = [String(48 * MIB), '1', '0'];
      while ((await values(id)).join() !== wanted.join() && Date.now() < end);
      expect(await values(id)).toEqual(wanted);
      expect((await containerStatus(test, id)).resources?.linux?.unified).toMatchObject({
        'memory.high': String(48 * MIB),
        'memory.oom.group': '1',
      });
    });

    it("are refused with the name of the kernel's file if the kernel rejects a value", async () => {
      const high = { unified: { 'memory.high': 'much' } };
      await expectFailure(started(high), 'FAILED_PRECONDITION', /memory\.high/);
      const id = await started({ unified: UNIFIED });
      await expectFailure(update(id, high), 'FAILED_PRECONDITION', /memory\.high/);
      expect(await kernel(id, 'memory.high')).toBe(String(48 * MIB));
    });
  });

  describe('the out-of-memory killer', () => {
    const narrow = { memory_limit_in_bytes: 20 * MIB, memory_swap_limit_in_bytes: 20 * MIB };
    // The kernel kills the child, tail. The parent continues unless the kernel kills the whole cgroup.
    const script = 'tail -n 1 /dev/zero; touch /survived; exec sleep 1000';

    it('ends all processes of a container that sets memory.oom.group', async () => {
      const id = await started({ ...narrow, unified: { 'memory.oom.group': '1' } }, script);
      await untilExited(test, id);
      expect(await containerStatus(test, id)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exit_code: 137,
        reason: 'OOMKilled',
      });
    });

    it('ends only the process that used the memory in other containers', async () => {
      const id = await started(narrow, script);
      await exec(test, id, 'until [ -e /survived ]; do sleep 0.1; done');
      expect(await kernel(id, 'memory.events')).toMatch(/^oom_kill 1$/m);
      expect((await containerStatus(test, id)).state).toBe(ContainerState.CONTAINER_RUNNING);
      // The reason is OOMKilled because one process was killed for its memory, as with containerd.
      await test.client.call('StopContainer', { container_id: id, timeout: 0 });
      expect(await containerStatus(test, id)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exit_code: 137,
        reason: 'OOMKilled',
      });
    });
  });

  describe('the cgroups that a container sees', () => {
    const namespaceOf = async (id: string): Promise<string> => readlink(`/proc/${await pidOf(id)}/ns/cgroup`);

    it('are its own', async () => {
      const id = await started(LIMIT);
      expect(await namespaceOf(id)).not.toBe(await readlink('/proc/self/ns/cgroup'));
      expect(await output(test, id, 'cat /proc/self/cgroup')).toBe('0::/');
      expect(await output(test, id, 'cat /sys/fs/cgroup/memory.max')).toBe(String(64 * MIB));
    });

    it("are the node's when the container is privileged", async () => {
      const linux = { security_context: { privileged: true } };
      const privileged = await runPod(test, podConfig(test, { linux }));
      const id = await startedContainer(test, privileged, freshConfig(FOREVER, { linux }));
      expect(await namespaceOf(id)).toBe(await readlink('/proc/self/ns/cgroup'));
      expect(await output(test, id, 'cat /proc/self/cgroup')).toContain(id);
      expect(await output(test, id, 'test -d /sys/fs/cgroup/system.slice && echo seen')).toBe('seen');
    });
  });

  it('stats include how long processes waited for a processor', async () => {
    const id = await started(LIMIT, 'while :; do :; done');
    const waited = async (): Promise<number> => {
      const pressure = await groupFile(id, 'cpu', '', 'cpu.pressure');
      return 1000 * Number(/^some .* total=(\d+)$/m.exec(pressure)?.[1]);
    };
    const low = await waited();
    const { stats } = await test.client.call('ContainerStats', { container_id: id });
    const told = Number(stats?.cpu?.psi?.Some?.Total);
    expect(told).toBeGreaterThanOrEqual(low);
    expect(told).toBeLessThanOrEqual(await waited());
  });
});
