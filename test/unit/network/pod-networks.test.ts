import { join } from 'node:path';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { silentLogger } from '../../../src/lib/logger';
import { RunningPlugins } from '../../../src/network/cni/running-plugins';
import type { NetworkChoice } from '../../../src/network/pod-network';
import {
  choosePodNetworks,
  networkChoice,
  observePodNetworks,
  PodNetworks,
} from '../../../src/network/pod-networks';
import { NamespaceMode } from '../../../src/proto/enums';
import type { PodToAttach } from '../../../src/translate/sandbox/pod-to-attach';
import { rejectionOf, thrownBy } from '../support/errors';
import { sandboxRecord } from '../support/records';
import { FakeNode, listOf } from './fake-plugins';

/** A CNI network that records most calls to it, and whose answers differ from those of the bridge. */
class FakeCni {
  readonly networkMode = 'none';
  readonly calls: unknown[][] = [];
  isInstalled = true;

  private note(call: string, ...args: unknown[]): Promise<void> {
    this.calls.push([call, ...args]);
    return Promise.resolve();
  }
  condition = () => ({ ready: false, reason: 'OfCni', message: 'of CNI' });
  attach = (...args: unknown[]) => this.note('attach', ...args);
  detach = (...args: unknown[]) => this.note('detach', ...args);
  stateOf = () => Promise.resolve({ ready: false, ips: ['10.1.0.2'] });
  troubleOf = (...args: unknown[]) => {
    return this.note('troubleOf', ...args).then(() => 'trouble of CNI');
  };
  rememberedIps = (id: string) => [`address of ${id}`];
  setPodCidr = (cidr: string) => void this.note('setPodCidr', cidr);
  heldSandboxes = () => ['held'];
  livingSandboxes = () => Promise.resolve(new Set(['living']));
  abandon = (id: string) => void this.note('abandon', id);
  collectGarbage = (existing: ReadonlySet<string>) => void this.note('collectGarbage', existing);
  letGo = () => Promise.resolve(['let go']);
  close = () => this.note('close');
}

describe('PodNetworks', () => {
  let cni: FakeCni;
  beforeEach(() => (cni = new FakeCni()));
  const nodePods = (choice: NetworkChoice = 'auto', onUnserved?: (capability: string) => void) =>
    new PodNetworks(cni, choice, silentLogger, onUnserved);
  const inspect = (NetworkMode: string) =>
    ({
      Id: 's1',
      HostConfig: { NetworkMode },
      NetworkSettings: { Networks: { bridge: { IPAddress: '172.17.0.2' } } },
    }) as unknown as EngineContainerInspect;
  const pod = { namespace: 'shop', name: 'web', annotations: { 'kubernetes.io/egress-bandwidth': '1M' } };

  it.each<{ choice: NetworkChoice; isInstalled: boolean; mode: string }>([
    { choice: 'auto', isInstalled: true, mode: 'none' },
    { choice: 'auto', isInstalled: false, mode: 'bridge' },
    { choice: 'cni', isInstalled: true, mode: 'none' },
    { choice: 'cni', isInstalled: false, mode: 'none' },
    { choice: 'bridge', isInstalled: true, mode: 'bridge' },
    { choice: 'bridge', isInstalled: false, mode: 'bridge' },
  ])(
    'uses the network mode $mode for the next pod if the choice is $choice and CNI is installed: $isInstalled',
    ({ choice, isInstalled, mode }) => {
      cni.isInstalled = isInstalled;
      const network = nodePods(choice);
      expect(network.networkMode).toBe(mode);
      expect(network.condition()).toEqual(
        mode === 'none' ? cni.condition() : { ready: true, reason: '', message: '' },
      );
    },
  );

  it.each<NetworkChoice>(['auto', 'cni', 'bridge'])(
    'leaves a pod on its network when the choice is %s',
    async (choice) => {
      const unserved: string[] = [];
      const network = nodePods(choice, (capability) => unserved.push(capability));
      const { signal } = new AbortController();
      await network.attach(inspect('none'), pod as unknown as PodToAttach, signal);
      expect(cni.calls).toEqual([['attach', inspect('none'), pod, signal]]);
      expect(unserved).toEqual([]);
      await network.attach(inspect('bridge'), pod as unknown as PodToAttach, signal);
      expect(cni.calls).toHaveLength(1);
      expect(unserved).toEqual(['bandwidth']);
      expect(await network.stateOf(inspect('none'))).toEqual({ ready: false, ips: ['10.1.0.2'] });
      expect(await network.stateOf(inspect('bridge'))).toEqual({ ready: true, ips: ['172.17.0.2'] });
    },
  );

  it('asks the network of a pod for its trouble, and reports none for the host network', async () => {
    const network = nodePods();
    const { signal } = new AbortController();
    const onCni = sandboxRecord({ networkMode: 'none' });
    expect(await network.troubleOf(onCni, signal)).toBe('trouble of CNI');
    expect(await network.troubleOf(sandboxRecord({ networkMode: 'bridge' }))).toBe('');
    const namespaces = { ...onCni.namespaces, network: NamespaceMode.NODE };
    expect(await network.troubleOf({ ...onCni, namespaces })).toBe('');
    expect(cni.calls).toEqual([['troubleOf', onCni, signal]]);
  });

  it.each<{ choice: NetworkChoice; isOurs: boolean }>([
    { choice: 'auto', isOurs: true },
    { choice: 'cni', isOurs: true },
    { choice: 'bridge', isOurs: false },
  ])('frees abandoned CNI networks unless the choice excludes CNI: $choice', async ({ choice, isOurs }) => {
    const network = nodePods(choice);
    const existing = new Set(['s1']);
    expect(network.heldSandboxes()).toEqual(isOurs ? ['held'] : []);
    expect(await network.livingSandboxes()).toEqual(new Set(isOurs ? ['living'] : []));
    network.collectGarbage(existing);
    expect(cni.calls).toEqual(isOurs ? [['collectGarbage', existing]] : []);
  });

  it.each<NetworkChoice>(['auto', 'bridge'])(
    'passes all other calls to CNI, whatever the choice: %s',
    async (choice) => {
      const network = nodePods(choice);
      await network.detach('s1', 7);
      network.abandon('s2');
      network.setPodCidr('10.1.0.0/24');
      expect(network.rememberedIps('s3')).toEqual(['address of s3']);
      expect(await network.letGo()).toEqual(['let go']);
      await network.close();
      expect(cni.calls).toEqual([
        ['detach', 's1', 7],
        ['abandon', 's2'],
        ['setPodCidr', '10.1.0.0/24'],
        ['close'],
      ]);
    },
  );
});

const inspectOf = (NetworkMode: string) =>
  ({ Id: 's1', HostConfig: { NetworkMode } }) as unknown as EngineContainerInspect;
const bandwidth = { namespace: 'shop', name: 'web', annotations: { 'kubernetes.io/egress-bandwidth': '1M' } };

describe('--network-plugin', () => {
  const REFUSED =
    'INVALID_ARGUMENT --network-plugin: "calico" is none of auto, cni, no-op (CNI plugins such as calico run under cni)';

  it.each([
    ['auto', 'auto'],
    ['cni', 'cni'],
    ['no-op', 'bridge'],
    ['', 'bridge'],
  ])('"%s" chooses %s', (plugin, choice) => {
    expect(networkChoice(plugin)).toBe(choice);
  });

  it('accepts no other value', () => {
    for (const plugin of ['calico', 'bridge'])
      expect(thrownBy(() => networkChoice(plugin))).toBe(REFUSED.replace('calico', plugin));
  });

  describe('makes networks', () => {
    let node: FakeNode;
    let network: PodNetworks | undefined;
    beforeEach(async () => {
      node = await FakeNode.create();
      await node.configure(listOf(['one']));
      await node.plugin('one', '');
    });
    afterEach(async () => {
      await network?.close();
      network = undefined;
      await node.remove();
    });
    const unserved: string[] = [];
    const choose = async (plugin: string): Promise<PodNetworks> =>
      (network = await choosePodNetworks(plugin, {
        ...{ confDir: node.confDir, binDirs: [node.binDir], cacheDir: node.cacheDir, timeoutMs: 10_000 },
        ...{ handles: node.namespaces, logger: silentLogger },
        running: new RunningPlugins(join(node.root, 'plugins'), silentLogger),
        onUnserved: (capability) => unserved.push(capability),
      }));
    const observe = async (plugin: string): Promise<PodNetworks> =>
      (network = await observePodNetworks(plugin, {
        ...{ confDir: node.confDir, binDirs: [node.binDir], cacheDir: node.cacheDir },
        ...{ onAttached: () => undefined, logger: silentLogger },
      }));

    it.each([
      ['auto', 'none'],
      ['cni', 'none'],
      ['no-op', 'bridge'],
    ])('for the value %s with the network mode %s', async (plugin, mode) => {
      for (const make of [choose, observe]) {
        const made = await make(plugin);
        expect([made.networkMode, made.condition()]).toEqual([
          mode,
          { ready: true, reason: '', message: '' },
        ]);
        await made.close();
      }
    });

    it('that count capabilities which the bridge does not provide', async () => {
      const made = await choose('no-op');
      await made.attach(inspectOf('bridge'), bandwidth as unknown as PodToAttach);
      expect(unserved).toEqual(['bandwidth']);
    });

    it('that connect no pod if the daemon only observes', async () => {
      const made = await observe('cni');
      expect(await rejectionOf(made.attach(inspectOf('none'), bandwidth as unknown as PodToAttach))).toMatch(
        /^FAILED_PRECONDITION /,
      );
    });

    it('except for unknown values', async () => {
      expect(await rejectionOf(choose('calico'))).toBe(REFUSED);
      expect(await rejectionOf(observe('calico'))).toBe(REFUSED);
    });
  });
});
