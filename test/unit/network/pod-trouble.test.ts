import type { PluginChain } from '../../../src/network/cni/plugin-chain';
import { checkAll, unservedOf } from '../../../src/network/cni/pod-trouble';
import type { CachedAttachment } from '../../../src/network/cni/result-cache';
import { FakeNamespaces } from './fake-plugins';

const entry = (networkName: string, over: Partial<CachedAttachment> = {}): CachedAttachment => ({
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

  it('checks each in the namespace that is held, and finds nothing', async () => {
    const [one, two] = [entry('one'), entry('two', { result: { cniVersion: '1.0.0', dns: {} } })];
    expect(await trouble([one, two])).toBe('');
    expect(checked).toEqual([
      ['one', '/handles/s1', one.result, signal],
      ['two', '/handles/s1', two.result, signal],
    ]);
  });

  it('leaves out an ADD that was never finished, and goes on', async () => {
    expect(await trouble([entry('begun', { result: undefined }), entry('two')])).toBe('');
    expect(checked.map(([name]) => name)).toEqual(['two']);
  });

  it('says what a plugin says, and asks no other', async () => {
    check.mockRejectedValueOnce(new Error('no address'));
    expect(await trouble([entry('one'), entry('two')])).toBe('no address');
    expect(check).toHaveBeenCalledTimes(1);
  });

  it('says that a configuration cannot be read', async () => {
    expect(await trouble([entry('one', { config: '{' }), entry('two')])).toBe(
      'the configuration of network "one" cannot be read',
    );
    expect(checked).toEqual([]);
  });

  it('says that nothing is held', async () => {
    handles.lives.clear();
    expect(await trouble([entry('one')])).toBe('its network namespace is not held');
    expect(checked).toEqual([]);
  });

  it('ends with the reason of the signal', async () => {
    const aborted = AbortSignal.abort(new Error('enough'));
    check.mockRejectedValueOnce(new Error('killed'));
    await expect(trouble([entry('one')], aborted)).rejects.toThrow('enough');
  });
});

describe('unservedOf', () => {
  const asking = {
    portMappings: [{ hostPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 1 },
  };

  it('tells what each network of the pod does not provide', () => {
    const entries = [
      entry('one', { capabilityArgs: asking }),
      entry('two', { capabilityArgs: { bandwidth: {} } }),
      entry('three'),
    ];
    expect(unservedOf(entries).map((message) => message.replace(/;.*/, ''))).toEqual([
      'host port 80/tcp: no plugin of CNI network "one" has the capability "portMappings"',
      'the limits of the bandwidth annotations: no plugin of CNI network "one" has the capability "bandwidth"',
      'the limits of the bandwidth annotations: no plugin of CNI network "two" has the capability "bandwidth"',
    ]);
  });

  it('tells nothing of other interfaces, of loopback, and of what cannot be read', () => {
    const loopback = JSON.stringify({ name: 'lo', plugins: [{ type: 'loopback' }] });
    expect(
      unservedOf([
        entry('one', { capabilityArgs: asking, ifName: 'net1' }),
        entry('two', { capabilityArgs: asking, config: loopback }),
        entry('three', { capabilityArgs: asking, config: '{' }),
      ]),
    ).toEqual([]);
  });
});
