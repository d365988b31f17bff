import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { cri } from '../../src/proto';
import { Protocol } from '../../src/proto/enums';
import { CniNode, NODE_IP } from './support/cni-node';
import { TestDaemon } from './support/daemon';
import {
  containerConfig,
  FOREVER,
  output,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
} from './support/pods';

let node: CniNode;
let test: TestDaemon;

beforeAll(async () => {
  node = await CniNode.create();
  await node.configure(
    node.network(['10.88.0.0/16', 'fd00:88::/64'], {
      ipam: { routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] },
    }),
  );
  test = await TestDaemon.start({ given: node.options });
});

afterAll(async () => {
  try {
    await test.stop();
  } finally {
    await node.destroy();
  }
});

interface Pod {
  readonly id: string;
  readonly ips: string[];
}

async function startPod(more: cri.IPodSandboxConfig = {}): Promise<Pod> {
  const id = await runPod(test, podConfig(test, more));
  return { id, ips: await ipsOf(id) };
}

async function ipsOf(id: string): Promise<string[]> {
  const { network } = await sandboxStatus(test, id);
  return [network?.ip ?? '', ...(network?.additional_ips ?? []).map(({ ip }) => ip)];
}

/** Starts a web server in the pod, which answers when this resolves. */
async function serve({ id }: Pod): Promise<string> {
  const web = await startedContainer(test, id, containerConfig('web', 'exec httpd -f -p 80 -h /www'));
  await output(test, web, 'until wget -q -O - http://127.0.0.1/ 2>/dev/null; do :; done');
  return web;
}

const fetchFromNode = (url: string): Promise<string> =>
  node.run('busybox', 'timeout', '5', 'wget', '-q', '-O', '-', url);

const UDP_SERVER = `
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (_, { port, address }) => socket.send('over UDP', port, address));
  socket.bind(80, () => console.log('ready'));`;
const UDP_CLIENT = `
  const [port, address] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (text) => { console.log(String(text)); socket.close(); });
  socket.send('ask', Number(port), address);`;

describe('pods on a CNI bridge network', () => {
  it('report both addresses, IPv4 first, and reach each other by either', async () => {
    const [one, two] = [await startPod(), await startPod()];
    expect(one.ips).toEqual([expect.stringMatching(/^10\.88\./), expect.stringMatching(/^fd00:88::/)]);
    expect(new Set([...one.ips, ...two.ips]).size).toBe(4);
    await serve(two);
    const client = await startedContainer(test, one.id, containerConfig('client', FOREVER));
    await output(test, client, `ping -c 1 -W 5 ${two.ips[0]!} && ping -6 -c 1 -W 5 ${two.ips[1]!}`);
    expect(await output(test, client, `timeout 5 wget -q -O - http://${two.ips[0]!}/`)).toBe('ok');
    expect(await output(test, client, `timeout 5 wget -q -O - 'http://[${two.ips[1]!}]/'`)).toBe('ok');
    expect(await output(test, client, 'ip -o link show lo')).toContain('LOOPBACK,UP');
    expect(await output(test, client, 'cat /proc/sys/net/ipv4/conf/all/log_martians')).toBe('1');
  });

  it('answer on a host port over 127.0.0.1, over the node address, and to themselves', async () => {
    const host_port = 20_080;
    const pod = await startPod({
      port_mappings: [{ container_port: 80, host_port }, { container_port: 81 }],
    });
    const web = await serve(pod);
    expect(await fetchFromNode(`http://127.0.0.1:${host_port}/`)).toBe('ok\n');
    expect(await fetchFromNode(`http://${NODE_IP}:${host_port}/`)).toBe('ok\n');
    expect(await output(test, web, `timeout 5 wget -q -O - http://${NODE_IP}:${host_port}/`)).toBe('ok');
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod.id });
    await expect(fetchFromNode(`http://${NODE_IP}:${host_port}/`)).rejects.toThrow();
    expect(await node.run('iptables-save')).not.toContain(`dport ${host_port}`);
  });

  it('answer on a host port of one address only, and may share its number on another', async () => {
    const host_port = 30_080;
    const mapping = { container_port: 80, host_port, host_ip: NODE_IP };
    const pod = await startPod({ port_mappings: [mapping] });
    await serve(pod);
    expect(await fetchFromNode(`http://${NODE_IP}:${host_port}/`)).toBe('ok\n');
    await expect(fetchFromNode(`http://127.0.0.1:${host_port}/`)).rejects.toThrow();
    await startPod({ port_mappings: [{ ...mapping, host_ip: '127.0.0.1' }] });
    const name = (await sandboxStatus(test, pod.id)).metadata!.name;
    await expect(startPod({ port_mappings: [{ ...mapping, host_ip: '' }] })).rejects.toMatchObject({
      details: `host port ${host_port}/tcp is taken by pod test/${name}`,
    });
  });

  it('answer over UDP, and have their SCTP ports forwarded, next to TCP on the same number', async () => {
    const host_port = 31_080;
    const ports = [Protocol.TCP, Protocol.UDP, Protocol.SCTP].map((protocol) => ({
      protocol,
      container_port: 80,
      host_port,
    }));
    const pod = await startPod({ port_mappings: ports });
    await serve(pod);
    const server = spawn('nsenter', [
      `--net=${node.handles.pathOf(pod.id)}`,
      process.execPath,
      '-e',
      UDP_SERVER,
    ]);
    try {
      await once(server.stdout, 'data');
      expect(await fetchFromNode(`http://${NODE_IP}:${host_port}/`)).toBe('ok\n');
      expect(await node.run(process.execPath, '-e', UDP_CLIENT, String(host_port), NODE_IP)).toBe(
        'over UDP\n',
      );
    } finally {
      server.kill();
    }
    // This kernel has no SCTP sockets, so the test checks the rule.
    const rules = await node.run('iptables-save', '-t', 'nat');
    expect(rules).toMatch(
      new RegExp(`-p sctp .*--dport ${host_port} -j DNAT --to-destination ${pod.ips[0]!}:80`),
    );
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod.id });
    expect(await node.run('iptables-save', '-t', 'nat')).not.toContain(String(host_port));
  });

  it('are limited by the bandwidth annotations', async () => {
    const before = await node.run('tc', 'qdisc');
    const pod = await startPod({
      annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '20M' },
    });
    const added = (await node.run('tc', 'qdisc')).split('\n').filter((line) => !before.includes(line));
    expect(added.filter((line) => line.includes('tbf')).join('\n')).toMatch(
      /rate 10Mbit[^]*rate 20Mbit|rate 20Mbit[^]*rate 10Mbit/,
    );
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod.id });
    expect(await node.run('tc', 'qdisc')).toBe(before);
    await expect(
      startPod({ annotations: { 'kubernetes.io/ingress-bandwidth': 'much' } }),
    ).rejects.toMatchObject({
      details: expect.stringContaining('kubernetes.io/ingress-bandwidth') as string,
    });
  });

  it('keep their addresses when the daemon restarts, and the new daemon frees them', async () => {
    const pod = await startPod();
    await test.restart();
    expect(await ipsOf(pod.id)).toEqual(pod.ips);
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod.id });
    expect(await node.leases()).not.toContainEqual(expect.objectContaining({ ip: pod.ips[0] }));
  });

  it('leave nothing behind on the node after their removal', async () => {
    await startPod({ port_mappings: [{ container_port: 80, host_port: 40_080 }] });
    const before = (await node.traces()).map((trace) => trace.split(' ')[0]);
    expect([...new Set(before)].sort()).toEqual(['cache', 'lease', 'link', 'mount', 'netns', 'rule']);
    const { items } = await test.client.call('ListPodSandbox', {});
    await Promise.all(items.map(({ id }) => test.client.call('RemovePodSandbox', { pod_sandbox_id: id })));
    expect(await node.traces()).toEqual([]);
  });
});
