import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import type { NetworkConfig } from '../../../src/network/cni/network-config';
import { findConfig, NodeNetwork } from '../../../src/network/cni/node-network';
import { gate, settle, until } from '../support/async';
import { setClockBack } from '../support/clock';
import { thrownBy } from '../support/errors';
import { FakeNode, listOf } from './fake-plugins';

let node: FakeNode;
beforeEach(async () => (node = await FakeNode.create()));
afterEach(async () => {
  jest.restoreAllMocks();
  await node.remove();
});

describe('a configuration directory', () => {
  it('returns its first valid file in lexical order, and names the broken ones', async () => {
    await node.configure('{', '00-broken.conflist');
    await node.configure(listOf(['a'], { name: 'ten' }), '10-a.conflist');
    await node.configure(listOf(['a'], { name: 'nine' }), '9-b.conflist');
    await node.configure(listOf(['a'], { name: 'none' }), '05-c.txt');
    const { config, file, problems } = await findConfig(node.confDir);
    expect([config?.name, file]).toEqual(['ten', join(node.confDir, '10-a.conflist')]);
    expect(problems).toEqual([`${join(node.confDir, '00-broken.conflist')}: is not a JSON object`]);
  });

  it('may contain plugins of a network in separate files', async () => {
    await node.configure(listOf(['a'], { cniVersion: '1.1.0' }));
    await mkdir(join(node.confDir, 'net'));
    await writeFile(join(node.confDir, 'net/20.conf'), JSON.stringify({ type: 'c' }));
    await writeFile(join(node.confDir, 'net/10.conf'), JSON.stringify({ type: 'b' }));
    const types = async (): Promise<string[] | undefined> =>
      (await findConfig(node.confDir)).config?.plugins.map(({ type }) => type);
    expect(await types()).toEqual(['a', 'b', 'c']);
    await node.configure(listOf(['a'], { cniVersion: '1.1.0', loadOnlyInlinedPlugins: true }));
    expect(await types()).toEqual(['a']);
  });

  it('reports a separate plugin file that is not an object', async () => {
    await node.configure(listOf(['a'], { cniVersion: '1.1.0' }));
    await mkdir(join(node.confDir, 'net'));
    await writeFile(join(node.confDir, 'net/10.conf'), '[]');
    await writeFile(join(node.confDir, 'net/20.txt'), '[]');
    const list = join(node.confDir, '10-net.conflist');
    expect(await findConfig(node.confDir)).toEqual({
      config: undefined,
      file: '',
      problems: [`${list}: ${join(node.confDir, 'net/10.conf')} is not a JSON object`],
    });
  });

  it('counts as empty if it does not exist', async () => {
    expect(await findConfig('/nowhere/at/all')).toEqual({ config: undefined, file: '', problems: [] });
  });

  it('may contain a single plugin under two endings', async () => {
    for (const ending of ['conf', 'json']) {
      await node.configure({ name: ending, type: 'a' }, `10-net.${ending}`);
      expect((await findConfig(node.confDir)).config?.name).toBe(ending);
      await rm(join(node.confDir, `10-net.${ending}`));
    }
    await node.configure(listOf(['a']), '10-net.json');
    expect((await findConfig(node.confDir)).problems).toEqual([
      `${join(node.confDir, '10-net.json')}: has "plugins", so its name must end in .conflist`,
    ]);
  });

  it('reports a list whose name is not text', async () => {
    await node.configure(listOf(['a'], { name: 5 }));
    expect((await findConfig(node.confDir)).problems).toEqual([
      `${join(node.confDir, '10-net.conflist')}: has no "name"`,
    ]);
  });
});

describe('the network of a node', () => {
  const chain = {
    validate: jest.fn<Promise<void>, [NetworkConfig, AbortSignal?]>(),
    status: jest.fn<Promise<void>, [NetworkConfig, AbortSignal?]>(),
  };
  const READY = { ready: true, reason: '', message: '' };
  let network: NodeNetwork;
  let told: unknown[];
  beforeEach(() => {
    told = [];
    for (const ask of Object.values(chain)) ask.mockReset().mockResolvedValue(undefined);
    network = new NodeNetwork({
      confDir: node.confDir,
      binDirs: [node.binDir, join(node.root, 'more')],
      chain,
      logger: {
        ...silentLogger,
        info: (message, fields) => told.push(['info', message, fields]),
        warn: (message, fields) => told.push(['warn', message, fields]),
      },
    });
  });
  afterEach(() => network.close());

  const unready = (message: string): object => ({ ready: false, reason: 'NetworkPluginNotReady', message });
  const NO_CONFIG = (): string => `no CNI configuration in ${node.confDir} (--cni-conf-dir)`;

  it('is unknown before the first check', () => {
    expect(network.condition()).toEqual(unready('no CNI configuration has been looked for yet'));
    expect([network.isInstalled, network.lastConfig]).toEqual([false, undefined]);
    expect(thrownBy(() => network.required())).toBe(
      'FAILED_PRECONDITION no CNI configuration has been looked for yet',
    );
  });

  it('is the first valid configuration, once its plugins report that they are ready', async () => {
    await node.configure('{', '00-broken.conflist');
    await node.configure(listOf(['one']));
    await network.start();
    expect(network.condition()).toEqual(READY);
    expect(network.required()).toBe(network.lastConfig);
    expect(network.lastConfig).toMatchObject({ name: 'net', cniVersion: '1.0.0' });
    for (const ask of Object.values(chain))
      expect(ask.mock.calls).toEqual([[network.lastConfig, expect.any(AbortSignal)]]);
    expect(told).toEqual([
      [
        'warn',
        'Ignoring an invalid CNI configuration',
        { reason: `${join(node.confDir, '00-broken.conflist')}: is not a JSON object` },
      ],
      ['info', 'CNI network is ready', { network: 'net' }],
    ]);
    await rm(join(node.confDir, '00-broken.conflist'));
    told.length = 0;
    await network.reload();
    // Nothing has changed, so nothing is logged.
    expect(told).toEqual([]);
  });

  it('is missing on a node without CNI, which is not logged', async () => {
    await network.start();
    expect(network.condition()).toEqual(unready(NO_CONFIG()));
    expect([network.isInstalled, told]).toEqual([false, []]);
    expect(chain.validate).not.toHaveBeenCalled();
  });

  it.each<[string, () => Promise<void>, () => string]>([
    ['a configuration', () => node.configure(listOf(['one'])), () => ''],
    [
      'a broken configuration',
      () => node.configure('{'),
      () => `no valid CNI configuration: ${join(node.confDir, '10-net.conflist')}: is not a JSON object`,
    ],
    ['a plugin', () => node.plugin('one', ''), NO_CONFIG],
    [
      'a plugin in the second directory',
      async () => {
        await mkdir(join(node.root, 'more'));
        await writeFile(join(node.root, 'more/two'), '');
      },
      NO_CONFIG,
    ],
  ])('is expected if there is %s, even after that is removed', async (_, make, problem) => {
    await make();
    // A state that has not changed is not logged again.
    for (let time = 0; time < 2; time++) await network.reload();
    expect(network.isInstalled).toBe(true);
    const isReady = problem() === '';
    expect(network.condition()).toEqual(isReady ? READY : unready(problem()));
    expect(told).toEqual([
      isReady
        ? ['info', 'CNI network is ready', { network: 'net' }]
        : ['warn', 'CNI network is not ready', { reason: problem() }],
    ]);
    await rm(node.confDir, { recursive: true });
    await rm(node.binDir, { recursive: true });
    await rm(join(node.root, 'more'), { recursive: true, force: true });
    await network.reload();
    expect(network.isInstalled).toBe(true);
    expect(network.condition()).toEqual(unready(NO_CONFIG()));
  });

  it.each(['validate', 'status'] as const)(
    'is not ready while %s fails, and the reason is logged once',
    async (ask) => {
      chain[ask].mockRejectedValue(failedPrecondition('not today'));
      await node.configure(listOf(['one']));
      await network.reload();
      await network.reload();
      expect(network.condition()).toEqual(unready('not today'));
      expect(thrownBy(() => network.required())).toBe('FAILED_PRECONDITION not today');
      expect(told).toEqual([['warn', 'CNI network is not ready', { reason: 'not today' }]]);
      expect(chain.status).toHaveBeenCalledTimes(ask === 'status' ? 2 : 0);
      chain[ask].mockResolvedValue(undefined);
      await network.reload();
      expect(network.condition()).toEqual(READY);
      expect(told).toHaveLength(2);
    },
  );

  it('is logged again when it changes', async () => {
    await node.configure(listOf(['one']));
    await network.reload();
    await node.configure(listOf(['one', 'two'], { name: 'other' }));
    await network.reload();
    expect(told).toEqual(['net', 'other'].map((name) => ['info', 'CNI network is ready', { network: name }]));
  });

  it('is read again only once for all callers that ask during a read', async () => {
    await node.configure(listOf(['one']));
    const first = gate();
    chain.validate.mockReturnValueOnce(first.promise);
    const asked = [network.reload()];
    await until(() => chain.validate.mock.calls.length === 1);
    asked.push(network.reload(), network.reload());
    await node.configure(listOf(['one'], { name: 'other' }));
    first.resolve();
    await Promise.all(asked);
    expect(chain.validate).toHaveBeenCalledTimes(2);
    expect(network.lastConfig?.name).toBe('other');
    await network.reload();
    expect(chain.validate).toHaveBeenCalledTimes(3);
  });

  it.each(['net.d', 'bin', 'more'])('is read again when a file changes in %s', async (directory) => {
    await mkdir(join(node.root, 'more'));
    await node.configure(listOf(['one']));
    await network.start();
    const before = chain.validate.mock.calls.length;
    await writeFile(join(node.root, directory, 'new'), '');
    await until(() => chain.validate.mock.calls.length > before, 'the next reading');
  });

  it('is no longer read once it is closed, which aborts the read under way', async () => {
    await node.configure(listOf(['one']));
    await network.start();
    chain.validate.mockImplementation(
      (_, signal) =>
        new Promise((__, reject) =>
          signal?.addEventListener('abort', () => reject(new Error('given up')), { once: true }),
        ),
    );
    const reading = network.reload();
    await until(() => chain.validate.mock.calls.length === 2);
    const again = network.reload();
    await network.close();
    await Promise.all([reading, again]);
    expect(network.condition()).toEqual(READY);
    expect(chain.validate).toHaveBeenCalledTimes(2);
    await network.reload();
    expect(chain.validate).toHaveBeenCalledTimes(2);
    expect(existsSync(node.confDir)).toBe(true);
  });

  describe('whose plugins may change their status (CNI 1.1)', () => {
    let now: number;
    beforeEach(() => {
      now = 1_000_000;
      jest.spyOn(performance, 'now').mockImplementation(() => now);
    });

    it('asks the plugins again only if a caller asks after five seconds', async () => {
      await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
      await network.reload();
      chain.status.mockRejectedValue(new Error('no leader'));
      now += 4_999;
      expect(network.condition()).toEqual(READY);
      await settle();
      expect(chain.status).toHaveBeenCalledTimes(1);
      now += 1;
      // A caller gets the last known state; the plugin's answer counts for later callers.
      for (let time = 0; time < 3; time++) expect(network.condition()).toEqual(READY);
      await until(() => !network.condition().ready, 'the report of the plugin');
      expect(network.condition()).toEqual(unready('no leader'));
      expect(chain.status).toHaveBeenCalledTimes(2);
      now += 5_000;
      network.condition();
      await until(() => chain.status.mock.calls.length === 3, 'the next question');
    });

    it('asks no plugin of an earlier version', async () => {
      await node.configure(listOf(['one']));
      await network.reload();
      now += 3_600_000;
      network.condition();
      await settle();
      expect(chain.validate).toHaveBeenCalledTimes(1);
    });
  });

  it('asks plugins again even if the clock was set back by hours', async () => {
    await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
    await network.start();
    expect(network.condition().ready).toBe(true);
    chain.status.mockRejectedValue(new Error('no leader'));
    setClockBack();
    const real = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => real() + 6_000);
    await until(() => !network.condition().ready, 'the report of the plugin');
    expect(network.condition().message).toBe('no leader');
  });

  it('waits for the pod CIDR if a plugin needs it', async () => {
    expect(network.currentPodCidr).toBe('');
    await node.configure(listOf(['one', { type: 'two', capabilities: { ipRanges: true } }]));
    await network.reload();
    const why = 'CNI network "net" needs the node\'s pod CIDR, which kubelet has not sent yet';
    expect(network.condition()).toEqual(unready(why));
    expect(thrownBy(() => network.required())).toBe(`FAILED_PRECONDITION ${why}`);
    network.setPodCidr('10.1.0.0/24');
    expect([network.condition(), network.currentPodCidr]).toEqual([READY, '10.1.0.0/24']);
    network.setPodCidr('');
    await node.configure(listOf(['one']));
    await network.reload();
    expect(network.condition()).toEqual(READY);
  });
});
