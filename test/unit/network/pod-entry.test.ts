import type { PluginChain } from '../../../src/network/cni/plugin-chain';
import {
  askedFor,
  checkAll,
  cniArgs,
  configOf,
  ipsOf,
  isOfOtherRunDir,
  isOfPodNetwork,
  isOurs,
  LOOPBACK,
  loopbackOf,
  podEntry,
  unservedOf,
} from '../../../src/network/cni/pod-entry';
import type { CachedAttachment } from '../../../src/network/cni/result-cache';
import { ATTACHMENT, FakeNamespaces, listOf, RESULT } from './fake-plugins';

const POD = { name: 'web', namespace: 'shop', uid: 'u1', annotations: {}, ports: [], dns: undefined };
const PORT = { hostPort: 80, containerPort: 8080, protocol: 'tcp' as const, hostIp: '' };
const LOOPBACK_CONFIG = JSON.stringify({ name: 'cni-loopback', plugins: [{ type: 'loopback' }] });
/** kubenet's entries have neither arguments nor a list of plugins. */
const KUBENET_LOOPBACK = JSON.stringify({ name: 'kubenet-loopback', type: 'loopback' });

const entry = (networkName: string, over: Partial<CachedAttachment> = {}): CachedAttachment => ({
  ...ATTACHMENT,
  ...{ networkName, config: JSON.stringify(listOf(['one'])), result: RESULT },
  ...over,
});

describe('the entry of a pod', () => {
  const empty = { cniVersion: '1.0.0', ips: [] };
  const nameOf = (entries: readonly CachedAttachment[], network?: string): string | undefined =>
    podEntry(entries, network)?.networkName;

  it('is that of the present network, or the first that has an address', () => {
    const entries = [entry('none', { result: empty }), entry('old'), entry('new')];
    expect(nameOf(entries, 'new')).toBe('new');
    expect(nameOf(entries, 'none')).toBe('old');
    expect(nameOf(entries)).toBe('old');
    expect(nameOf([entry('none', { result: empty })], 'none')).toBeUndefined();
    expect(nameOf([])).toBeUndefined();
  });

  it('is an unfinished entry as long as there is one', () => {
    expect(nameOf([entry('net'), entry('begun', { result: undefined })], 'net')).toBe('begun');
  });

  it('is that of eth0, the interface that every pod has', () => {
    const other = { ifName: 'net1', result: { ips: [{ address: '10.0.0.2/8' }] } };
    expect(nameOf([entry('other', other), entry('net')], 'other')).toBe('net');
    expect(nameOf([entry('begun', { ifName: 'net1', result: undefined }), entry('net')])).toBe('net');
  });

  it('has the addresses of its own interface, and none while it is unfinished', () => {
    expect(ipsOf(entry('net'))).toEqual(['10.1.0.2', 'fd00::2']);
    expect(ipsOf(entry('net', { result: undefined }))).toEqual([]);
    const interfaces = ['eth0', 'net1'].map((name) => ({ name, sandbox: '/ns' }));
    const ips = ['10.0.0.2/8', '10.0.0.3/8'].map((address, at) => ({ address, interface: at }));
    expect(ipsOf(entry('net', { ifName: 'net1', result: { interfaces, ips } }))).toEqual(['10.0.0.3']);
  });

  it('has its configuration, unless that is damaged', () => {
    expect(configOf(entry('net'))?.plugins.map(({ type }) => type)).toEqual(['one']);
    expect(configOf(entry('net', { config: '' }))).toBeUndefined();
  });

  it.each<[string, Partial<CachedAttachment>, boolean]>([
    ['with the plugins of a network', {}, true],
    ['with loopback among others', { config: JSON.stringify(listOf(['loopback', 'one'])) }, true],
    ['of another interface', { ifName: 'net1' }, false],
    ['of loopback', { config: LOOPBACK_CONFIG }, false],
    ['of kubenet’s loopback', { config: KUBENET_LOOPBACK }, false],
    ['with a damaged configuration', { config: '{' }, true],
  ])('%s belongs to the pod network: %p', (_, over, isOf) => {
    expect(isOfPodNetwork(entry('net', over))).toBe(isOf);
  });
});

describe('the arguments of a pod', () => {
  it('name the pod, as far as it is known', () => {
    expect(cniArgs('s1', POD)).toEqual([
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAMESPACE', 'shop'],
      ['K8S_POD_NAME', 'web'],
      ['K8S_POD_INFRA_CONTAINER_ID', 's1'],
      ['K8S_POD_UID', 'u1'],
    ]);
    expect(cniArgs('s1', undefined)).toEqual([
      ['IgnoreUnknown', '1'],
      ['K8S_POD_INFRA_CONTAINER_ID', 's1'],
    ]);
  });

  it('include the capabilities that the pod requests', () => {
    const portMappings = [{ hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' }];
    expect(askedFor('s1', { ...POD, ports: [PORT] }, '10.1.0.0/24')).toEqual({
      cniArgs: cniArgs('s1', POD),
      capabilityArgs: { portMappings, ipRanges: [[{ subnet: '10.1.0.0/24' }]] },
    });
    expect(askedFor('s1', undefined, '10.1.0.0/24')).toEqual({
      cniArgs: cniArgs('s1', undefined),
      capabilityArgs: {},
    });
  });

  it('for loopback are empty', () => {
    expect(loopbackOf('s1', '/ns')).toEqual({
      ...{ containerId: 's1', networkName: 'cni-loopback', ifName: 'lo', netns: '/ns' },
      ...{ cniArgs: [], capabilityArgs: {} },
    });
    expect(LOOPBACK).toEqual({
      ...{ name: 'cni-loopback', cniVersion: '0.3.1', disableCheck: false, disableGc: false },
      plugins: [{ type: 'loopback', capabilities: [], body: { type: 'loopback' } }],
      json: '{"cniVersion":"0.3.1","name":"cni-loopback","plugins":[{"type":"loopback"}]}',
    });
  });
});

describe('an entry in the cache', () => {
  const handles = { owns: (path: string) => path.startsWith('/handles/') };
  const ID: CachedAttachment['cniArgs'] = [['K8S_POD_INFRA_CONTAINER_ID', 'c1']];

  it.each<[string, Partial<CachedAttachment>, boolean]>([
    ['with our handle', { netns: '/handles/c1' }, true],
    ['with a namespace of another program', { netns: '/run/netns/x', cniArgs: ID }, false],
    ['of cri-dockerd', { netns: '/proc/7/ns/net', cniArgs: ID }, true],
    ['of cri-dockerd whose namespace is gone', { netns: '', cniArgs: ID }, true],
    ['with the id of another sandbox', { netns: '', cniArgs: [['K8S_POD_INFRA_CONTAINER_ID', 'x']] }, false],
    ['with our id in an argument of another name', { netns: '', cniArgs: [['K8S_POD_UID', 'c1']] }, false],
    ['without arguments', { netns: '/proc/7/ns/net', cniArgs: [] }, false],
    ['of kubenet', { netns: '', cniArgs: [], networkName: 'kubenet' }, true],
    ['of kubenet’s loopback', { netns: '', cniArgs: [], networkName: 'kubenet-loopback' }, true],
  ])('%s is ours: %p', (_, over, isOurOwn) => {
    expect(isOurs(entry('net', over), handles)).toBe(isOurOwn);
  });

  it.each([
    ['/run/netns/cni-dockbridge-0123abcd-c1', true],
    ['/run/netns/cni-dockbridge-0123abcd-c2', false],
    ['/former/netns/c1', true],
    ['/former/netns/c2', false],
    ['/former/other/c1', false],
    ['/run/netns/cni-5', false],
    ['', false],
  ])('with the namespace "%s" belongs to another --run-dir: %p', (netns, isOf) => {
    expect(isOfOtherRunDir(entry('net', { netns }))).toBe(isOf);
  });
});

const cached = (networkName: string, over: Partial<CachedAttachment> = {}): CachedAttachment => ({
  containerId: 's1',
  networkName,
  ifName: 'eth0',
  netns: '/proc/7/ns/net',
  cniArgs: [],
  capabilityArgs: {},
  config: JSON.stringify({ cniVersion: '1.0.0', name: networkName, plugins: [{ type: 'one' }] }),
  result: { cniVersion: '1.0.0', ips: [] },
  ...over,
});

describe('checkAll', () => {
  let handles: FakeNamespaces;
  let checked: unknown[][];
  let check: jest.Mock<Promise<void>, Parameters<PluginChain['check']>>;
  const { signal } = new AbortController();
  beforeEach(() => {
    handles = new FakeNamespaces();
    handles.lives.set('s1', 7);
    checked = [];
    check = jest.fn(({ name }, { netns }, result, given) => {
      checked.push([name, netns, result, given]);
      return Promise.resolve();
    });
  });
  const trouble = (entries: readonly CachedAttachment[], given = signal) =>
    checkAll({ check } as unknown as PluginChain, handles, 's1', entries, given);

  it('runs CHECK for each entry in the held namespace, and finds no error', async () => {
    const [one, two] = [cached('one'), cached('two', { result: { cniVersion: '1.0.0', dns: {} } })];
    expect(await trouble([one, two])).toBe('');
    expect(checked).toEqual([
      ['one', '/handles/s1', one.result, signal],
      ['two', '/handles/s1', two.result, signal],
    ]);
  });

  it('skips an unfinished ADD, and continues', async () => {
    expect(await trouble([cached('begun', { result: undefined }), cached('two')])).toBe('');
    expect(checked.map(([name]) => name)).toEqual(['two']);
  });

  it("returns a plugin's error, and runs no other plugin", async () => {
    check.mockRejectedValueOnce(new Error('no address'));
    expect(await trouble([cached('one'), cached('two')])).toBe('no address');
    expect(check).toHaveBeenCalledTimes(1);
  });

  it('reports an unreadable configuration', async () => {
    expect(await trouble([cached('one', { config: '{' }), cached('two')])).toBe(
      'the configuration of network "one" cannot be read',
    );
    expect(checked).toEqual([]);
  });

  it('reports that no namespace is held', async () => {
    handles.lives.clear();
    expect(await trouble([cached('one')])).toBe('its network namespace is not held');
    expect(checked).toEqual([]);
  });

  it('rejects with the reason of the signal', async () => {
    const aborted = AbortSignal.abort(new Error('enough'));
    check.mockRejectedValueOnce(new Error('killed'));
    await expect(trouble([cached('one')], aborted)).rejects.toThrow('enough');
  });
});

describe('unservedOf', () => {
  const asking = {
    portMappings: [{ hostPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 1 },
  };

  it('returns what each network of the pod does not provide', () => {
    const entries = [
      cached('one', { capabilityArgs: asking }),
      cached('two', { capabilityArgs: { bandwidth: {} } }),
      cached('three'),
    ];
    expect(unservedOf(entries).map((message) => message.replace(/;.*/, ''))).toEqual([
      'host port 80/tcp: no plugin of CNI network "one" has the capability "portMappings"',
      'the limits of the bandwidth annotations: no plugin of CNI network "one" has the capability "bandwidth"',
      'the limits of the bandwidth annotations: no plugin of CNI network "two" has the capability "bandwidth"',
    ]);
  });

  it('ignores other interfaces, loopback, and unreadable entries', () => {
    const loopback = JSON.stringify({ name: 'lo', plugins: [{ type: 'loopback' }] });
    expect(
      unservedOf([
        cached('one', { capabilityArgs: asking, ifName: 'net1' }),
        cached('two', { capabilityArgs: asking, config: loopback }),
        cached('three', { capabilityArgs: asking, config: '{' }),
      ]),
    ).toEqual([]);
  });
});
