import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CniNetwork } from '../../../src/network/cni/cni-network';
import type { EngineContainerInspect } from '../../../src/engine/types';
import type { PodToAttach } from '../../../src/translate/sandbox/pod-to-attach';
import { settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { answer, FakeNode, listOf, RESULT } from './fake-plugins';

let node: FakeNode;
let network: CniNetwork;
beforeEach(async () => {
  node = await FakeNode.create();
  await node.plugin('one', answer(RESULT));
  await node.plugin('two', answer(RESULT));
  await node.configure(listOf(['one', 'two']));
  network = await node.open();
});
afterEach(async () => {
  await network.close();
  await node.remove();
});

/** A running sandbox whose process is this one. Its namespace has a loopback interface. */
function sandbox(id: string, pid = process.pid): EngineContainerInspect {
  return { Id: id, State: { Pid: pid } } as EngineContainerInspect;
}

/** A sandbox that another runtime made, as the Engine describes it. */
function othersSandbox(id: string, pid = process.pid): EngineContainerInspect {
  return {
    ...sandbox(id, pid),
    Name: '/k8s_POD_web_shop_u1_3_0a1b2c3d',
    HostConfig: {
      NetworkMode: 'none',
      PortBindings: {
        '8080/tcp': [{ HostIp: '', HostPort: '80' }],
        '53/udp': [{ HostIp: '::1', HostPort: '' }],
      },
    },
  };
}

function pod(more: Partial<PodToAttach> = {}): PodToAttach {
  return { name: 'web', namespace: 'shop', uid: 'u1', annotations: {}, ports: [], dns: undefined, ...more };
}

const cached = (): Promise<string[]> => readdir(join(node.cacheDir, 'results'));

async function reopen(): Promise<void> {
  await network.close();
  network = await node.open();
}

async function expectNothingLeft(): Promise<void> {
  expect(await cached()).toEqual([]);
  expect([...node.namespaces.lives]).toEqual([]);
  expect(network.heldSandboxes()).toEqual([]);
}

describe('a network that is handed over', () => {
  it('releases all handles, makes no new ones, and frees no pod', async () => {
    await network.attach(sandbox('c1'), pod());
    expect(await network.letGo()).toEqual(['c1']);
    expect([...node.namespaces.lives]).toEqual([]);
    await network.stateOf(sandbox('c1'));
    network.abandon('c1');
    expect(await network.letGo()).toEqual([]);
    expect([...node.namespaces.lives]).toEqual([]);
    expect(await node.story()).toEqual(['ADD one', 'ADD two']);
    expect(await cached()).toHaveLength(1);
  });
});

describe('a pod on a CNI network', () => {
  it('is attached, has its addresses, and is freed without a trace', async () => {
    await network.attach(sandbox('c1'), pod());
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: true, ips: ['10.1.0.2', 'fd00::2'] });
    const [first] = await node.calls();
    expect(first).toMatchObject({
      ...{ command: 'ADD', containerId: 'c1', netns: '/handles/c1', ifName: 'eth0' },
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1',
    });
    await network.detach('c1', process.pid);
    expect(await node.story()).toEqual(['ADD one', 'ADD two', 'DEL two', 'DEL one']);
    await expectNothingLeft();
  });

  it('is freed once, however often that is requested', async () => {
    await network.attach(sandbox('c1'), pod());
    await Promise.all([network.detach('c1', 0), network.detach('c1', 0)]);
    await network.detach('c1', 0);
    expect(await node.story()).toEqual(['ADD one', 'ADD two', 'DEL two', 'DEL one']);
  });

  it('is checked by its plugins, which report its state', async () => {
    await network.attach(sandbox('c1'), pod());
    expect(await network.troubleOf({ id: 'c1' })).toBe('');
    await node.plugin('two', `echo '{"code":102,"msg":"no address on eth0"}'; exit 1`);
    expect(await network.troubleOf({ id: 'c1' })).toBe(
      'CNI plugin "two" failed on CHECK (code 102): no address on eth0',
    );
    expect(await network.troubleOf({ id: 'bridged' })).toBe('');
    await node.namespaces.release('c1');
    expect(await network.troubleOf({ id: 'c1' })).toBe('its network namespace is not held');
    expect(await node.story()).toEqual([
      'ADD one',
      'ADD two',
      'CHECK one',
      'CHECK two',
      'CHECK one',
      'CHECK two',
    ]);
  });

  it('is left alone if CNI has no record of it', async () => {
    await network.detach('bridged', process.pid);
    expect(await node.story()).toEqual([]);
  });

  it('keeps its state when its cached result is lost, and is freed with the present configuration', async () => {
    await network.attach(sandbox('c1'), pod());
    await rm(join(node.cacheDir, 'results/net-c1-eth0'));
    await reopen();
    const { ready, ips } = await network.stateOf(othersSandbox('c1'));
    expect(ready).toBe(true);
    expect(ips).not.toEqual([]);
    await network.detach('c1', process.pid);
    expect((await node.story()).slice(2)).toEqual(['DEL two', 'DEL one']);
    await expectNothingLeft();
  });

  it('has its result in the format and place of libcni', async () => {
    await network.attach(
      sandbox('c1'),
      pod({ ports: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIp: '' }] }),
    );
    const file = join(node.cacheDir, 'results/net-c1-eth0');
    const entry = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    expect(entry).toMatchObject({
      ...{ kind: 'cniCacheV1', containerId: 'c1', ifName: 'eth0', networkName: 'net', netns: '/handles/c1' },
      capabilityArgs: { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' }] },
      result: RESULT,
    });
    expect((entry.cniArgs as string[][])[1]).toEqual(['K8S_POD_NAMESPACE', 'shop']);
    const config = Buffer.from(entry.config as string, 'base64').toString('utf8');
    expect(JSON.parse(config)).toEqual(listOf(['one', 'two']));
  });

  it('keeps its addresses over a restart, and is freed with the configuration of its ADD after that was removed', async () => {
    await network.attach(sandbox('c1'), pod());
    await rm(join(node.confDir, '10-net.conflist'));
    await reopen();
    expect(network.condition().ready).toBe(false);
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: true, ips: ['10.1.0.2', 'fd00::2'] });
    await network.detach('c1', 0);
    const last = (await node.calls()).at(-1);
    expect(last).toMatchObject({ command: 'DEL', plugin: 'one', netns: '/handles/c1' });
    expect(last?.input.prevResult).toEqual(RESULT);
    await expectNothingLeft();
  });

  it('is freed without a namespace after a reboot', async () => {
    await network.attach(sandbox('c1'), pod());
    node.namespaces.lives.clear();
    await reopen();
    await network.detach('c1', 0);
    expect((await node.calls()).at(-1)).toMatchObject({ command: 'DEL', netns: '' });
    await expectNothingLeft();
  });

  it('is not ready when its container was restarted, because the new namespace has no network', async () => {
    await network.attach(sandbox('c1'), pod());
    node.namespaces.lives.set('c1', process.pid + 1);
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: false, ips: [] });
  });

  it('is not ready after the daemon was killed during its ADD, which is undone nevertheless', async () => {
    await network.attach(sandbox('c1'), pod());
    const file = join(node.cacheDir, 'results/net-c1-eth0');
    const { result: _result, ...begun } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify(begun));
    await writeFile(join(node.cacheDir, 'results/.net-c2-eth0.dockbridge'), '{"half');
    await reopen();
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: false, ips: [] });
    expect(network.heldSandboxes()).toEqual(['c1']);
    await network.detach('c1', 0);
    expect((await node.story()).slice(2)).toEqual(['DEL two', 'DEL one']);
    await expectNothingLeft();
  });

  it('whose sandbox vanished keeps its network while processes live in it', async () => {
    await network.attach(sandbox('c1'), pod());
    node.namespaces.living.add('c1');
    let looks = 0;
    const look = jest.spyOn(node.namespaces, 'inUse').mockImplementation(() => {
      looks++;
      return Promise.resolve(new Set(node.namespaces.living));
    });
    network.abandon('c1');
    await until(() => looks === 1);
    expect(await network.livingSandboxes()).toEqual(new Set(['c1']));
    await settle();
    expect((await node.story()).slice(2)).toEqual([]);
    expect(network.heldSandboxes()).toEqual(['c1']);
    // The clean-up tries again by itself.
    node.namespaces.living.clear();
    await until(() => network.heldSandboxes().length === 0, 'the end of the cleanup');
    expect((await node.story()).slice(2)).toEqual(['DEL two', 'DEL one']);
    look.mockRestore();
    await expectNothingLeft();
  });

  it('is refused a host port of a pod that the cache does not know', async () => {
    await node.configure(listOf(['one', { type: 'two', capabilities: { portMappings: true } }]));
    await reopen();
    await network.stateOf(othersSandbox('c1'));
    const ports = [{ hostPort: 80, containerPort: 80, protocol: 'tcp' as const, hostIp: '' }];
    expect(await rejectionOf(network.attach(sandbox('c2'), pod({ name: 'other', ports })))).toMatch(
      /host port 80\/tcp is taken by pod shop\/web$/,
    );
  });

  it('of cri-dockerd is freed too, including loopback', async () => {
    const entry = (networkName: string, ifName: string, config: object): string =>
      JSON.stringify({
        ...{ kind: 'cniCacheV1', containerId: 'd1', ifName, networkName },
        config: Buffer.from(JSON.stringify(config)).toString('base64'),
        cniArgs: [['K8S_POD_INFRA_CONTAINER_ID', 'd1']],
        ...(ifName === 'lo' ? {} : { result: RESULT }),
      });
    await mkdir(join(node.cacheDir, 'results'), { recursive: true });
    const put = (name: string, text: string): Promise<void> =>
      writeFile(join(node.cacheDir, 'results', name), text);
    await put('net-d1-eth0', entry('net', 'eth0', listOf(['one', 'two'])));
    await put(
      'cni-loopback-d1-lo',
      entry('cni-loopback', 'lo', {
        cniVersion: '0.2.0',
        name: 'cni-loopback',
        plugins: [{ type: 'loopback' }],
      }),
    );
    await put(
      'net-stranger-eth0',
      JSON.stringify({
        kind: 'cniCacheV1',
        containerId: 'stranger',
        ifName: 'eth0',
        networkName: 'net',
        netns: '/run/netns/x',
      }),
    );
    await node.plugin('loopback', '');
    await reopen();
    expect(network.heldSandboxes()).toEqual(['d1']);
    await network.detach('d1', 0);
    expect((await node.story()).sort()).toEqual(['DEL loopback', 'DEL one', 'DEL two']);
    expect(await cached()).toEqual(['net-stranger-eth0']);
  });

  it('whose sandbox vanished is freed as soon as its plugins succeed', async () => {
    await network.attach(sandbox('c1'), pod());
    await node.plugin(
      'two',
      `[ "$CNI_COMMAND" = DEL ] && ! [ -e $log.cured ] && touch $log.cured && exit 1; ${answer(RESULT)}`,
    );
    network.abandon('c1');
    await until(() => network.heldSandboxes().length === 0, 'the end of the cleanup');
    expect((await node.story()).slice(2)).toEqual(['DEL two', 'DEL two', 'DEL one']);
    await expectNothingLeft();
  });

  it.each([
    ['the network publishes ports', { portMappings: true }],
    ['nothing publishes ports', {}],
  ])('is refused a host port that another pod has, if %s', async (_, capabilities) => {
    await node.configure(listOf(['one', { type: 'two', capabilities }]));
    await network.close();
    network = await node.open();
    const ports = [{ hostPort: 80, containerPort: 8080, protocol: 'tcp' as const, hostIp: '' }];
    const results = await Promise.allSettled([
      network.attach(sandbox('c1'), pod({ ports })),
      network.attach(sandbox('c2'), pod({ name: 'other', ports })),
    ]);
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [String(result.reason)] : [],
    );
    expect(failures).toEqual([expect.stringMatching(/host port 80\/tcp is taken by pod shop\/(web|other)$/)]);
    await network.attach(sandbox('c3'), pod({ ports: [{ ...ports[0]!, protocol: 'udp' }] }));
  });
});

describe('a pod of another runtime', () => {
  const LOOPBACK_LIST = { cniVersion: '0.2.0', name: 'cni-loopback', plugins: [{ type: 'loopback' }] };
  const LOOPBACK_RESULT = { cniVersion: '0.2.0', ip4: { ip: '127.0.0.1/8' } };
  const ARGS = { cniArgs: [['K8S_POD_INFRA_CONTAINER_ID', 'd1']] };

  async function file(name: string, body: object | string): Promise<void> {
    await mkdir(join(node.cacheDir, 'results'), { recursive: true });
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    await writeFile(join(node.cacheDir, 'results', name), text);
  }

  function entry(networkName: string, config: object | string, more: object = ARGS): object {
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    return {
      ...{ kind: 'cniCacheV1', containerId: 'd1', ifName: 'eth0', networkName, ...more },
      config: Buffer.from(text).toString('base64'),
    };
  }

  beforeEach(() => node.plugin('loopback', ''));

  it('has the addresses of its network, not of loopback or of other entries in the cache', async () => {
    const delegate = { cniVersion: '1.0.0', ips: [{ address: '192.168.7.7/24' }] };
    await file('a-delegate-d1-eth0', { ...entry('a-delegate', listOf(['one'])), result: delegate });
    await file('cni-loopback-d1-eth0', {
      ...entry('cni-loopback', LOOPBACK_LIST),
      result: LOOPBACK_RESULT,
    });
    await file('net-d1-eth0', { ...entry('net', listOf(['one', 'two'])), result: RESULT });
    await reopen();
    node.namespaces.lives.set('d1', process.pid);
    expect(await network.stateOf(othersSandbox('d1'))).toEqual({ ready: true, ips: ['10.1.0.2', 'fd00::2'] });
    expect(network.rememberedIps('d1')).toEqual(['10.1.0.2', 'fd00::2']);
  });

  it('has its addresses even if the node has another network by now', async () => {
    await file('cni-loopback-d1-eth0', {
      ...entry('cni-loopback', LOOPBACK_LIST),
      result: LOOPBACK_RESULT,
    });
    await file('net-d1-eth0', { ...entry('net', listOf(['one', 'two'])), result: RESULT });
    await node.configure({ ...listOf(['one']), name: 'a-new-one' });
    await reopen();
    expect(network.rememberedIps('d1')).toEqual(['10.1.0.2', 'fd00::2']);
    await network.detach('d1', 0);
    expect(await node.story()).toEqual(['DEL two', 'DEL one', 'DEL loopback']);
    await expectNothingLeft();
  });

  it('is not ready while its ADD is unfinished, whatever other entries it has', async () => {
    await file('cni-loopback-d1-eth0', { ...entry('cni-loopback', LOOPBACK_LIST), result: RESULT });
    await file('net-d1-eth0', entry('net', listOf(['one', 'two'])));
    await reopen();
    expect(await network.stateOf(othersSandbox('d1'))).toEqual({ ready: false, ips: [] });
    expect(network.rememberedIps('d1')).toEqual([]);
  });

  it("is freed from kubenet's network, whose configuration is a single plugin", async () => {
    const kubenet = { cniVersion: '0.1.0', name: 'kubenet', type: 'one' };
    const lo = { cniVersion: '0.1.0', name: 'kubenet-loopback', type: 'loopback' };
    const result = { cniVersion: '0.1.0', ip4: { ip: '10.95.0.2/24' } };
    await file('kubenet-d1-eth0', { ...entry('kubenet', kubenet, {}), result });
    await file('kubenet-loopback-d1-lo', {
      ...entry('kubenet-loopback', lo, { ifName: 'lo' }),
      result: LOOPBACK_RESULT,
    });
    await reopen();
    expect(network.heldSandboxes()).toEqual(['d1']);
    expect(network.rememberedIps('d1')).toEqual(['10.95.0.2']);
    await network.detach('d1', 0);
    expect((await node.story()).sort()).toEqual(['DEL loopback', 'DEL one']);
    await expectNothingLeft();
  });

  it.each<[string, string | object, object | undefined]>([
    ['the plain result of an old library', RESULT, RESULT],
    ['damaged', '{"kind":"cniCacheV1","contai', undefined],
    ['of an unknown kind', { kind: 'cniCacheV9', result: RESULT }, undefined],
  ])("is freed with the Engine's data if its entry is %s", async (_, body, prevResult) => {
    await node.configure(listOf([{ type: 'one', capabilities: { portMappings: true } }]));
    await file('cni-loopback-d1-eth0', {
      ...entry('cni-loopback', LOOPBACK_LIST),
      result: LOOPBACK_RESULT,
    });
    await file('net-d1-eth0', body);
    await file('net-stranger-eth0', 'damaged too');
    await reopen();
    const { ready, ips } = await network.stateOf(othersSandbox('d1'));
    expect(ready).toBe(true);
    await network.detach('d1', process.pid);
    const del = (await node.calls()).find(({ plugin }) => plugin === 'one');
    expect(del).toMatchObject({
      ...{ command: 'DEL', containerId: 'd1', netns: '/handles/d1', ifName: 'eth0' },
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=d1;K8S_POD_UID=u1',
    });
    expect(del?.input.runtimeConfig).toEqual({
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' }],
    });
    expect(del?.input.prevResult).toEqual(
      prevResult ?? {
        cniVersion: '1.0.0',
        interfaces: [{ name: 'eth0', sandbox: '/handles/d1' }],
        ips: ips.map((ip) => ({ address: expect.stringContaining(`${ip}/`) as string, interface: 0 })),
      },
    );
    expect(await cached()).toEqual(['net-stranger-eth0']);
    expect(network.heldSandboxes()).toEqual([]);
    await network.detach('d1', 0);
    expect((await node.story()).filter((call) => call === 'DEL one')).toHaveLength(1);
  });

  it('is freed with the readable part of an entry whose configuration is unreadable', async () => {
    await node.configure(listOf([{ type: 'one', capabilities: { portMappings: true } }]));
    const capabilityArgs = { portMappings: [{ hostPort: 81, containerPort: 81, protocol: 'tcp' }] };
    await file('net-d1-eth0', {
      ...entry('net', 'no configuration', { ...ARGS, capabilityArgs }),
      result: RESULT,
    });
    await reopen();
    await network.detach('d1', 0);
    const [del] = await node.calls();
    expect(del?.input).toMatchObject({ runtimeConfig: capabilityArgs, prevResult: RESULT });
    await expectNothingLeft();
  });
});

describe('plugins of an earlier run', () => {
  it('delay their own pod, and no other', async () => {
    await node.plugin(
      'one',
      `[ "$CNI_CONTAINERID$CNI_COMMAND" = c1ADD ] && touch $log.hangs && exec sleep 1000`,
    );
    const adding = network.attach(sandbox('c1'), pod());
    adding.catch(() => undefined);
    await until(() => existsSync(join(node.root, 'calls.hangs')), 'a plugin at work');
    // The state is as after a kill -9: nobody waits for the plugin, but it still works.
    node.patience = { patience: 60_000 };
    await node.plugin('one', answer(RESULT));
    const next = await node.open();
    await next.attach(sandbox('c2'), pod({ name: 'other' }));
    const gone = new AbortController();
    const waiting = next.attach(sandbox('c1'), pod(), gone.signal);
    gone.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    await next.close();
    for (const name of readdirSync(join(node.root, 'plugins')))
      process.kill(Number(name.split('-')[0]), 'SIGKILL');
    await expect(adding).rejects.toThrow();
  });
});

describe('close', () => {
  it.each(['STATUS', 'GC'])('does not wait for a plugin that hangs in %s', async (command) => {
    await node.plugin('one', `[ "$CNI_COMMAND" = STATUS ] || ${answer(RESULT)}`);
    await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
    await reopen();
    await node.plugin('one', `[ "$CNI_COMMAND" = ${command} ] && touch $log.hangs && sleep 1000`);
    if (command === 'GC') network.collectGarbage(new Set());
    await until(() => existsSync(join(node.root, 'calls.hangs')), `a hanging ${command}`);
    const started = Date.now();
    await network.close();
    // The plugin's time limit is 10 s.
    expect(Date.now() - started).toBeLessThan(5_000);
  });
});

describe('an ADD that fails', () => {
  it.each([
    [
      'with an error',
      `echo '{"code":7,"msg":"broken"}'; exit 1`,
      'CNI plugin "two" failed on ADD (code 7): broken',
    ],
    [
      'with garbage',
      'echo hello',
      'CNI plugin "two" answered ADD with something that is not a JSON object: hello',
    ],
    [
      'by hanging',
      'sleep 1000',
      'CNI plugin "two" took longer than 2000 ms on ADD (--cni-timeout) and was killed',
    ],
    ['without an address', answer({ cniVersion: '1.0.0', ips: [] }), 'gave pod shop/web no address'],
  ])('%s leaves nothing behind, and the error says why it failed', async (_, script, error) => {
    await node.plugin('two', `[ "$CNI_COMMAND" = DEL ] && exit; ${script}`);
    await network.close();
    // The limit is long enough for plugins that answer, even on a busy machine.
    network = await node.open(script.startsWith('sleep') ? 2_000 : 30_000);
    expect(await rejectionOf(network.attach(sandbox('c1'), pod()))).toContain(error);
    expect(await node.story()).toEqual(['ADD one', 'ADD two', 'DEL two', 'DEL one']);
    await expectNothingLeft();
  });

  it('because of an invalid annotation runs no plugin', async () => {
    const annotations = { 'kubernetes.io/egress-bandwidth': '1' };
    expect(await rejectionOf(network.attach(sandbox('c1'), pod({ annotations })))).toBe(
      'INVALID_ARGUMENT config.annotations["kubernetes.io/egress-bandwidth"]: "1" is not a bandwidth from 1k to 1P (bits per second)',
    );
    expect(await node.story()).toEqual([]);
  });

  it('and cannot be undone at once is undone later', async () => {
    await node.plugin('two', 'exit 1');
    await expect(network.attach(sandbox('c1'), pod())).rejects.toThrow('CNI plugin "two"');
    expect(await cached()).toEqual(['net-c1-eth0']);
    await node.plugin('two', '');
    // No caller requests this undo, because kubelet makes another sandbox instead.
    await until(() => network.heldSandboxes().length === 0, 'the second undo');
    await expectNothingLeft();
  });
});

describe('readiness', () => {
  const becomes = async (ready: boolean): Promise<number> => {
    const started = Date.now();
    await until(() => network.condition().ready === ready, `ready=${ready}`);
    return Date.now() - started;
  };

  it('ends when the configuration is removed, and returns within a second when it is back', async () => {
    expect(network.condition()).toEqual({ ready: true, reason: '', message: '' });
    await rm(node.confDir, { recursive: true });
    await becomes(false);
    expect(network.condition()).toEqual({
      ready: false,
      reason: 'NetworkPluginNotReady',
      message: `no CNI configuration in ${node.confDir} (--cni-conf-dir)`,
    });
    expect(await rejectionOf(network.attach(sandbox('c1'), pod()))).toMatch(
      /^FAILED_PRECONDITION no CNI configuration/,
    );
    await mkdir(node.confDir);
    await node.configure(listOf(['one']));
    expect(await becomes(true)).toBeLessThan(1_000);
  });

  it('ends when a plugin is removed, and returns within a second when it is back', async () => {
    await rm(join(node.binDir, 'two'));
    await becomes(false);
    expect(network.condition().message).toBe(
      `CNI plugin "two" is not installed in ${node.binDir} (--cni-bin-dir)`,
    );
    await node.plugin('two', '');
    expect(await becomes(true)).toBeLessThan(1_000);
  });

  it('reports the error in a configuration of a newer version, and uses the next valid file', async () => {
    await node.configure(listOf(['one'], { cniVersion: '2.0.0' }));
    await becomes(false);
    expect(network.condition().message).toBe(
      `no valid CNI configuration: ${join(node.confDir, '10-net.conflist')}: CNI version 2.0.0 is not known; this runtime supports 0.1.0 to 1.1.0`,
    );
    await node.configure({ cniVersion: '0.4.0', name: 'second', type: 'one' }, '20-net.conf');
    await becomes(true);
    await network.attach(sandbox('c1'), pod());
    expect(await cached()).toEqual(['second-c1-eth0']);
  });

  it('waits for the pod CIDR if a plugin needs it, and the plugin gets both families and later changes', async () => {
    await node.configure(listOf([{ type: 'one', capabilities: { ipRanges: true } }]));
    await becomes(false);
    expect(network.condition().message).toContain('pod CIDR');
    network.setPodCidr('10.1.0.0/24,fd00::/64');
    expect(network.condition().ready).toBe(true);
    await network.attach(sandbox('c1'), pod());
    expect((await node.calls())[0]?.input.runtimeConfig).toEqual({
      ipRanges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]],
    });
    network.setPodCidr('10.2.0.0/24');
    await network.attach(sandbox('c2'), pod());
    expect((await node.calls())[1]?.input.runtimeConfig).toEqual({ ipRanges: [[{ subnet: '10.2.0.0/24' }]] });
  });

  it('ends when a plugin of CNI 1.1 fails its STATUS', async () => {
    await node.plugin(
      'one',
      `[ "$CNI_COMMAND" = STATUS ] && echo '{"code":50,"msg":"no leader"}' && exit 1; ${answer(RESULT)}`,
    );
    await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
    await becomes(false);
    expect(network.condition().message).toBe('CNI plugin "one" failed on STATUS (code 50): no leader');
  });
});

/** An entry as another program writes it, with a namespace of its own. */
async function fileOfOther(containerId: string, netns: string): Promise<void> {
  await mkdir(join(node.cacheDir, 'results'), { recursive: true });
  const body = {
    ...{ kind: 'cniCacheV1', containerId, ifName: 'eth0', networkName: 'net', netns, result: RESULT },
    cniArgs: [['K8S_POD_INFRA_CONTAINER_ID', containerId]],
    capabilityArgs: { portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' }] },
    config: Buffer.from(JSON.stringify(listOf(['one'], { cniVersion: '1.1.0' }))).toString('base64'),
  };
  await writeFile(join(node.cacheDir, 'results', `net-${containerId}-eth0`), JSON.stringify(body));
}

describe('entries of other programs in the cache', () => {
  const ports = [{ hostPort: 80, containerPort: 8080, protocol: 'tcp' as const, hostIp: '' }];
  const published = () => network.attach(sandbox('c1'), pod({ ports }));

  beforeEach(() => node.configure(listOf([{ type: 'one', capabilities: { portMappings: true } }])));

  it('are not garbage', async () => {
    await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
    await fileOfOther('x1', '/var/run/netns/cni-5');
    await reopen();
    network.collectGarbage(new Set());
    await until(() => /^GC/m.test(readFileSync(join(node.root, 'calls'), 'utf8')), 'the collection');
    const gc = (await node.calls()).find(({ command }) => command === 'GC');
    expect(gc?.input['cni.dev/valid-attachments']).toEqual([{ containerID: 'x1', ifname: 'eth0' }]);
  });

  it('keep their host port while processes live in their namespace', async () => {
    await fileOfOther('x1', '/var/run/netns/cni-5');
    await reopen();
    await published();
    await network.detach('c1', 0);
    const inhabited = join(node.root, 'cni-6');
    await symlink('/proc/self/ns/net', inhabited);
    await fileOfOther('x2', inhabited);
    await reopen();
    expect(await rejectionOf(published())).toMatch(/host port 80\/tcp is taken by pod x2/);
  });

  it.each([
    ['of the present version', '/run/netns/cni-dockbridge-0123abcd-x1'],
    ['of an earlier version', '/former/netns/x1'],
  ])(
    'do not include those of a former --run-dir (%s), which are undone with their rules once their namespace is gone',
    async (_, netns) => {
      await fileOfOther('x1', netns);
      await reopen();
      await published();
      const story = (await node.calls()).map(({ command, containerId }) => `${command} ${containerId}`);
      expect(story.filter((call) => !/VERSION|STATUS/.test(call))).toEqual(['DEL x1', 'ADD c1']);
      expect(await cached()).toEqual(['net-c1-eth0']);
    },
  );
});

describe('garbage', () => {
  it('is collected once by plugins of CNI 1.1, before the first ADD', async () => {
    await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
    await reopen();
    await network.attach(sandbox('c1'), pod());
    await reopen();
    network.collectGarbage(new Set(['c1', 'c9']));
    await network.attach(sandbox('c2'), pod({ name: 'second' }));
    const story = (await node.story()).filter((call) => !call.startsWith('STATUS'));
    expect(story).toEqual(['ADD one', 'GC one', 'ADD one']);
    const gc = (await node.calls()).find(({ command }) => command === 'GC');
    expect(gc?.input['cni.dev/valid-attachments']).toEqual([
      { containerID: 'c1', ifname: 'eth0' },
      // This pod exists, but its entry was lost.
      { containerID: 'c9', ifname: 'eth0' },
    ]);
  });
});
