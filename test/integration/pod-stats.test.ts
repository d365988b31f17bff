import { readFile } from 'node:fs/promises';
import type { cri, Decoded } from '../../src/proto';
import { NamespaceMode } from '../../src/proto/enums';
import { CGROUP_VERSION, podGroup, type PodGroup } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { IS_HOSTILE } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, exec, FOREVER, output, podConfig, runPod, startedContainer } from './support/pods';

type PodStats = Decoded<cri.ILinuxPodSandboxStats>;

describe('stats of pods', () => {
  let test: TestDaemon;
  let group: PodGroup;
  beforeAll(async () => {
    test = await TestDaemon.start();
    group = await podGroup(`dockbridge-test-${process.pid}`);
  });
  afterAll(async () => {
    await test.stop();
    await group.remove();
  });

  async function statsOf(pod_sandbox_id: string): Promise<PodStats> {
    const { stats } = await test.client.call('PodSandboxStats', { pod_sandbox_id });
    if (!stats?.linux) throw new Error('no stats');
    return stats.linux;
  }
  const value = (of: Decoded<cri.IUInt64Value> | null | undefined): number => Number(of?.value);

  async function nanosecondsOf(path: string): Promise<number> {
    if (CGROUP_VERSION === 1)
      return Number(await readFile(`/sys/fs/cgroup/cpuacct${path}/cpuacct.usage`, 'utf8'));
    const text = await readFile(`/sys/fs/cgroup${path}/cpu.stat`, 'utf8');
    return Number(/^usage_usec (\d+)/.exec(text)?.[1]) * 1000;
  }

  it('of a pod with a cgroup parent are those of its own cgroup', async () => {
    const labels = { tier: 'back' };
    const pod = await runPod(test, podConfig(test, { linux: { cgroup_parent: group.cgroupParent }, labels }));
    const id = await startedContainer(test, pod, containerConfig('one', 'while :; do :; done'));
    const low = await nanosecondsOf(group.path);
    const { cpu, memory, containers } = await statsOf(pod);
    const high = await nanosecondsOf(group.path);
    expect(value(cpu?.usage_core_nano_seconds)).toBeGreaterThanOrEqual(low);
    expect(value(cpu?.usage_core_nano_seconds)).toBeLessThanOrEqual(high);
    expect(value(memory?.usage_bytes)).toBeGreaterThan(value(containers[0]?.memory?.usage_bytes));
    expect(containers.map(({ attributes }) => attributes?.id)).toEqual([id]);
  });

  it('of a pod without a cgroup parent are the sum of its containers, and their CPU time does not fall when one ends', async () => {
    const pod = await runPod(test);
    const burner = await startedContainer(test, pod, containerConfig('burner', 'while :; do :; done'));
    await startedContainer(test, pod, containerConfig('idle', FOREVER));
    const before = await statsOf(pod);
    const parts = before.containers.map(({ memory }) => value(memory?.usage_bytes));
    expect(parts).toHaveLength(2);
    // The sum includes the pause container.
    expect(value(before.memory?.usage_bytes)).toBeGreaterThan(parts.reduce((sum, part) => sum + part, 0));
    await test.client.call('StopContainer', { container_id: burner, timeout: 0 });
    const after = await statsOf(pod);
    expect(after.containers).toHaveLength(1);
    expect(value(after.cpu?.usage_core_nano_seconds)).toBeGreaterThanOrEqual(
      value(before.cpu?.usage_core_nano_seconds),
    );
    expect(after.cpu?.timestamp.greaterThan(before.cpu?.timestamp ?? 0)).toBe(true);
  });

  it('count the processes of the containers and the pause process', async () => {
    const pod = await runPod(test);
    const script = 'sleep 1000 & sleep 1000 & touch /ready; wait';
    const id = await startedContainer(test, pod, containerConfig('three', script));
    await exec(test, id, 'until [ -e /ready ]; do sleep 0.1; done');
    // The shell, two sleeps and the pause process.
    expect(value((await statsOf(pod)).process?.process_count)).toBe(4);
  });

  // The hostile daemon.json has `icc: false`, with which pods on the Engine's own network cannot reach each
  // other.
  (IS_HOSTILE ? it.skip : it)('count 10 MB that pass between two pods, on both ends', async () => {
    const [from, to] = await Promise.all([runPod(test), runPod(test)]);
    const { status } = await test.client.call('PodSandboxStatus', { pod_sandbox_id: from });
    const serve = 'head -c 10000000 /dev/zero > /www/big; exec httpd -f -p 7000 -h /www';
    const server = await startedContainer(test, from, containerConfig('server', serve));
    const client = await startedContainer(test, to, containerConfig('client', FOREVER));
    const url = `http://${status?.network?.ip ?? ''}:7000`;
    await output(test, client, `until wget -q -O /dev/null ${url}/index.html; do sleep 0.1; done`);
    const before = await Promise.all([statsOf(from), statsOf(to)]);
    await output(test, client, `wget -q -O /dev/null ${url}/big`);
    const after = await Promise.all([statsOf(from), statsOf(to)]);
    const grown = (at: 0 | 1, field: 'rx_bytes' | 'tx_bytes'): number =>
      value(after[at].network?.default_interface?.[field]) -
      value(before[at].network?.default_interface?.[field]);
    expect(after[0].network?.default_interface?.name).toBe('eth0');
    for (const sent of [grown(0, 'tx_bytes'), grown(1, 'rx_bytes')]) {
      expect(sent).toBeGreaterThan(10_000_000);
      expect(sent).toBeLessThan(11_000_000);
    }
    // These are the kernel's own counters, read inside the pod.
    const inside = await output(test, server, "sed -n 's/^ *eth0: *//p' /proc/net/dev");
    expect(value(after[0].network?.default_interface?.tx_bytes)).toBeLessThanOrEqual(
      Number(inside.split(/\s+/)[8]),
    );
    expect(after[0].network?.interfaces.map(({ name }) => name)).not.toContain('lo');
  });

  it("omit the network of a pod on the host's network", async () => {
    const namespaces = { options: { network: NamespaceMode.NODE } };
    const pod = await runPod(
      test,
      podConfig(test, { linux: { security_context: { namespace_options: namespaces.options } } }),
    );
    const stats = await statsOf(pod);
    expect(stats.network).toBeNull();
    expect(value(stats.memory?.usage_bytes)).toBeGreaterThan(0);
  });

  it('as a list contain ready pods, by id and labels, without an Engine call', async () => {
    const mine = await runPod(test, podConfig(test, { labels: { list: 'mine' } }));
    const stopped = await runPod(test, podConfig(test, { labels: { list: 'mine' } }));
    await test.client.call('StopPodSandbox', { pod_sandbox_id: stopped });
    const list = async (filter: cri.IPodSandboxStatsFilter): Promise<(string | undefined)[]> => {
      const { stats } = await test.client.call('ListPodSandboxStats', { filter });
      return stats.map(({ attributes }) => attributes?.id);
    };
    const calls = await test.countEngineCalls(async () => {
      expect(await list({ label_selector: { list: 'mine' } })).toEqual([mine]);
      expect(await list({ id: mine.slice(0, 12) })).toEqual([mine]);
      expect(await list({ id: mine, label_selector: { list: 'other' } })).toEqual([]);
      expect(await list({})).toContain(mine);
    });
    expect(calls).toEqual({});
  });

  it('of a pod that does not run are its attributes, and of an unknown pod an error', async () => {
    const pod = await runPod(test);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    const { stats } = await test.client.call('PodSandboxStats', { pod_sandbox_id: pod });
    expect(stats?.attributes?.id).toBe(pod);
    expect(stats?.linux?.cpu).toBeNull();
    await expectFailure(test.client.call('PodSandboxStats', { pod_sandbox_id: 'beef' }), 'NOT_FOUND');
  });
});
