import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { cri } from '../../src/proto';
import { NamespaceMode, PodSandboxState } from '../../src/proto/enums';
import { CniNode } from './support/cni-node';
import { TestDaemon } from './support/daemon';
import { engineCall, engineLeftovers, sharedDockerHost } from './support/engine';
import { nodeResolvConf } from './support/node-resolv-conf';
import {
  FOREVER,
  freshConfig,
  output,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
  untilStore,
} from './support/pods';

const HOST_NETWORK = { linux: { security_context: { namespace_options: { network: NamespaceMode.NODE } } } };

/** On a busy machine, the first pod of an Engine may wait for a pull that fails. */
jest.setTimeout(240_000);

let node: CniNode;
let test: TestDaemon;

beforeEach(async () => (node = await CniNode.create()));
afterEach(async () => {
  await test.stop();
  try {
    expect(await node.traces()).toEqual([]);
    expect(await engineLeftovers(sharedDockerHost())).toEqual([]);
  } finally {
    await node.destroy();
  }
});

/** Returns a network with a bridge, addresses and the given plugins, and nothing else, which is fast. */
function simple(plugins: readonly object[] = [], ipam: object = {}): object {
  const { plugins: all, ...list } = node.network(['10.90.0.0/24'], { ipam }) as { plugins: object[] };
  return { ...list, plugins: [...all.slice(0, 1), ...plugins] };
}

async function start(more: Record<string, string> = {}): Promise<void> {
  test = await TestDaemon.start({ given: { ...node.options, ...more } });
}

async function networkReady(): Promise<{ status: boolean; message: string }> {
  const { status } = await test.client.call('Status', {});
  const { status: ready, message } = status!.conditions.find(({ type }) => type === 'NetworkReady')!;
  return { status: ready, message };
}

/** Calls Status until NetworkReady is as wanted. @returns the duration in ms. */
async function untilNetworkReady(wanted: boolean): Promise<number> {
  const started = Date.now();
  while ((await networkReady()).status !== wanted) {
    if (Date.now() - started > 5_000) throw new Error(`NetworkReady does not become ${wanted}`);
  }
  return Date.now() - started;
}

const ipOf = async (pod: string): Promise<string> => (await sandboxStatus(test, pod)).network?.ip ?? '';

describe('NetworkReady on a CNI node', () => {
  it('is false, with the reason, until the configuration appears, and true within a second afterwards', async () => {
    await rm(node.confDir, { recursive: true });
    await start();
    expect(await networkReady()).toEqual({
      status: false,
      message: `no CNI configuration in ${node.confDir} (--cni-conf-dir)`,
    });
    await expect(runPod(test)).rejects.toMatchObject({
      details: expect.stringContaining('no CNI configuration') as string,
    });
    const hostPod = await runPod(test, podConfig(test, HOST_NETWORK));
    expect((await sandboxStatus(test, hostPod)).state).toBe(PodSandboxState.SANDBOX_READY);
    await node.run('mkdir', node.confDir);
    await node.configure(simple());
    expect(await untilNetworkReady(true)).toBeLessThan(1_000);
    const pod = await runPod(test);
    expect(await ipOf(pod)).toMatch(/^10\.90\.0\./);
    await rm(node.confDir, { recursive: true });
    await untilNetworkReady(false);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.leases()).toEqual([]);
  });

  it('is false while a plugin is missing', async () => {
    await node.configure(simple([{ type: 'late' }]));
    await start();
    expect((await networkReady()).message).toContain('CNI plugin "late" is not installed');
    await node.plugin('late', 'cat >/dev/null');
    expect(await untilNetworkReady(true)).toBeLessThan(1_000);
  });
});

describe('--network-plugin=auto', () => {
  it("gives pods the Engine's bridge until CNI is installed, and existing pods keep it", async () => {
    const binDir = join(node.directory, 'later');
    await start({ 'network-plugin': 'auto', 'cni-bin-dir': binDir });
    const early = await runPod(test);
    const ip = await ipOf(early);
    expect(ip).toMatch(/^\d/);
    await rename(node.binDir, binDir);
    await untilNetworkReady(false);
    await node.configure(simple());
    await untilNetworkReady(true);
    expect(await ipOf(await runPod(test))).toMatch(/^10\.90\.0\./);
    await test.restart();
    expect(await ipOf(early)).toBe(ip);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: early });
  });
});

describe('the addresses of pods', () => {
  it('are from the pod CIDR that kubelet sends, in both families', async () => {
    await node.configure(node.network([]));
    await start();
    expect((await networkReady()).message).toContain('pod CIDR');
    const tell = (pod_cidr: string): Promise<unknown> =>
      test.client.call('UpdateRuntimeConfig', { runtime_config: { network_config: { pod_cidr } } });
    await tell('10.91.0.0/24,fd00:91::/64');
    const { network } = await sandboxStatus(test, await runPod(test));
    expect([network?.ip, network?.additional_ips[0]?.ip]).toEqual([
      expect.stringMatching(/^10\.91\.0\./),
      expect.stringMatching(/^fd00:91::/),
    ]);
  });

  it('are free after StopPodSandbox if someone restarted the sandbox, which then has no network', async () => {
    await node.configure(simple());
    await start();
    const pod = await runPod(test);
    const notReady = untilStore(test, () => test.daemon.store.sandboxes.get(pod)?.networkReady === false);
    await engineCall(sharedDockerHost(), 'POST', `/containers/${pod}/restart?t=0`);
    await notReady;
    expect((await sandboxStatus(test, pod)).state).toBe(PodSandboxState.SANDBOX_NOTREADY);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.leases()).toEqual([]);
  });

  it('are free after StopPodSandbox if someone removed the sandbox outside CRI', async () => {
    await node.configure(simple());
    await start();
    const pod = await runPod(test);
    expect(await node.leases()).toHaveLength(1);
    await engineCall(sharedDockerHost(), 'DELETE', `/containers/${pod}?force=1`);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.leases()).toEqual([]);
  });
});

describe('a pod with a damaged network', () => {
  async function trouble(pod: string): Promise<string> {
    const { info } = await test.client.call('PodSandboxStatus', { pod_sandbox_id: pod, verbose: true });
    return (JSON.parse(info.info!) as { networkTrouble: string }).networkTrouble;
  }

  it("shows the plugins' errors in the verbose status", async () => {
    await node.configure(simple());
    await start();
    const pod = await runPod(test);
    expect(await trouble(pod)).toBe('');
    const ip = await ipOf(pod);
    const address = (command: string): Promise<string> =>
      node.run(
        ...['nsenter', `--net=${node.handles.pathOf(pod)}`],
        ...['ip', 'address', command, `${ip}/24`, 'dev', 'eth0'],
      );
    await address('del');
    expect(await trouble(pod)).toMatch(/^CNI plugin "bridge" failed on CHECK .*10\.90\.0\./);
    // The plugin's DEL finds its rules by the addresses of the interface.
    await address('add');
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await trouble(pod)).toBe('');
  });
});

describe('the DNS of a pod', () => {
  const DNS = {
    servers: ['10.96.0.10', 'fd00::a'],
    searches: ['a.local', 'b.local'],
    options: ['ndots:5', 'rotate'],
  };
  const TEXT = 'search a.local b.local\nnameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5 rotate';
  const cases: [string, cri.IDNSConfig, string][] = [
    ['every setting that is given', DNS, TEXT],
    ['only the setting that is given', { searches: ['a.local'] }, 'search a.local'],
  ];

  async function resolvConf(pod: string): Promise<string> {
    const id = await startedContainer(test, pod, freshConfig(FOREVER));
    return output(test, id, 'cat /etc/resolv.conf');
  }

  /**
   * Newer Engines add comments about their changes, and use another order. dockbridge does
   * not rewrite a file that is otherwise right.
   */
  const meant = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => /^[^#\s]/.test(line))
      .sort();

  it.each(cases)('has %s, on any network', async (_, dns_config, text) => {
    await node.configure(simple());
    await start();
    for (const more of [{}, HOST_NETWORK]) {
      const pod = await runPod(test, podConfig(test, { ...more, dns_config }));
      expect(meant(await resolvConf(pod))).toEqual(meant(text));
    }
  });

  it("is the node's without dns_config, and empty with an empty dns_config", async () => {
    await node.configure(simple());
    await start();
    for (const more of [{}, HOST_NETWORK]) {
      const unsaid = await resolvConf(await runPod(test, podConfig(test, { ...more })));
      expect(meant(unsaid)).toEqual(meant(await nodeResolvConf(more === HOST_NETWORK)));
      const empty = await resolvConf(await runPod(test, podConfig(test, { ...more, dns_config: {} })));
      expect(meant(empty)).toEqual([]);
    }
  });

  it("is right on the Engine's bridge, and again after the sandbox was restarted by hand", async () => {
    test = await TestDaemon.start();
    const pod = await runPod(test, podConfig(test, { dns_config: { searches: ['a.local'] } }));
    expect(await resolvConf(pod)).toBe('search a.local');
    const states: string[] = [];
    const restarted = untilStore(test, () => {
      states.push(test.daemon.store.sandboxes.get(pod)?.state ?? 'gone');
      return states.includes('exited') && states.at(-1) === 'running';
    });
    await engineCall(sharedDockerHost(), 'POST', `/containers/${pod}/restart?t=0`);
    await restarted;
    expect(await resolvConf(pod)).toBe('search a.local');
  });
});

describe('the loopback interface of a pod', () => {
  it('has ::1 on any network, even one without IPv6', async () => {
    await node.configure(simple());
    for (const more of [{}, { 'network-plugin': 'no-op' }]) {
      await start(more);
      const pod = await runPod(test);
      const id = await startedContainer(test, pod, freshConfig(FOREVER));
      expect(await output(test, id, 'ip -6 -o address show dev lo')).toContain('::1/128');
      if (Object.keys(more).length === 0) await test.stop();
    }
  });

  it('has no ::1 if the pod does not want it', async () => {
    await node.configure(simple());
    await start();
    const linux = { sysctls: { 'net.ipv6.conf.all.disable_ipv6': '1' } };
    const pod = await runPod(test, podConfig(test, { linux }));
    const id = await startedContainer(test, pod, freshConfig(FOREVER));
    expect(await output(test, id, 'ip -6 -o address show dev lo')).toBe('');
  });
});

describe('a pod whose network cannot be made', () => {
  it('causes an error that names the plugin, and leaves neither sandbox nor network', async () => {
    await node.plugin(
      'broken',
      `[ "$CNI_COMMAND" = DEL ] && exit; echo '{"code":7,"msg":"out of order"}'; exit 1`,
    );
    await node.configure(simple([{ type: 'broken' }]));
    await start();
    await expect(runPod(test)).rejects.toMatchObject({
      details: 'CNI plugin "broken" failed on ADD (code 7): out of order',
    });
    expect(await node.traces()).toEqual([]);
    expect(await engineLeftovers(sharedDockerHost())).toEqual([]);
  });

  it('leaves no rule of a plugin that was killed after it had made some', async () => {
    const pids = join(node.directory, 'pids');
    await node.run('mkfifo', pids);
    const real = `nsenter --net=${node.namespace} /usr/lib/cni/firewall`;
    await node.plugin(
      'firewall',
      `[ "$CNI_COMMAND" = ADD ] || exec ${real}\n${real} >/dev/null; echo $$ >${pids}; exec sleep 1000`,
    );
    await node.configure(simple([{ type: 'firewall' }]));
    await start();
    const refused = runPod(test).then(
      () => 'made',
      (error: unknown) => String(error),
    );
    const pid = Number(await readFile(pids, 'utf8'));
    const rules = (await node.traces()).filter((trace) => trace.startsWith('rule '));
    process.kill(pid, 'SIGKILL');
    expect(await refused).toContain('firewall');
    // The ADD reported nothing, so the rules are found by the address in the pod's namespace.
    expect(rules).not.toEqual([]);
    expect(await node.traces()).toEqual([]);
  });
});
