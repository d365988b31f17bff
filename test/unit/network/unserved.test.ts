import type { CniNetwork } from '../../../src/network/cni/cni-network';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { answer, FakeNode, listOf, RESULT } from './fake-plugins';

const PORTS =
  'host port 80/tcp, 53/udp: no plugin of CNI network "net" has the capability "portMappings"; ' +
  'add the portmap plugin, unless something else on the node provides this';
const BANDWIDTH =
  'the limits of the bandwidth annotations: no plugin of CNI network "net" has the capability "bandwidth"; ' +
  'add the bandwidth plugin, unless something else on the node provides this';
const ASKING = {
  ...{ name: 'web', namespace: 'shop', uid: 'u1' },
  annotations: { 'kubernetes.io/ingress-bandwidth': '10M' },
  ports: [
    { hostPort: 80, containerPort: 8080, protocol: 'tcp' as const, hostIp: '' },
    { hostPort: 53, containerPort: 53, protocol: 'udp' as const, hostIp: '' },
  ],
  // The pod's resolv.conf provides DNS.
  dns: { servers: ['10.96.0.10'], searches: [], options: [] },
};

let node: FakeNode;
let network: CniNetwork;
beforeEach(async () => {
  node = await FakeNode.create();
  await node.plugin('one', answer(RESULT));
});
afterEach(async () => {
  await network.close();
  await node.remove();
});

/** Attaches a pod to a network of one plugin. By default, the pod requests ports, bandwidth limits and DNS. */
async function attach(capabilities: Record<string, boolean>, pod = ASKING): Promise<void> {
  await node.configure(listOf([{ type: 'one', capabilities }]));
  network = await node.open();
  await network.attach({ Id: 'c1', State: { Pid: process.pid } } as EngineContainerInspect, pod);
}

describe('a capability that a pod requests and no plugin provides', () => {
  it('is logged, counted, and reported in the status, even after a restart', async () => {
    await attach({});
    expect(node.warnings).toEqual([PORTS, BANDWIDTH]);
    expect(node.unserved).toEqual(['portMappings', 'bandwidth']);
    expect(await network.troubleOf({ id: 'c1' })).toBe(`${PORTS}; ${BANDWIDTH}`);
    await network.close();
    network = await node.open();
    expect(await network.troubleOf({ id: 'c1' })).toBe(`${PORTS}; ${BANDWIDTH}`);
    expect(node.unserved).toHaveLength(2);
  });

  it('is reported only if it is missing', async () => {
    await attach({ portMappings: true });
    expect(node.warnings).toEqual([BANDWIDTH]);
    expect(await network.troubleOf({ id: 'c1' })).toBe(BANDWIDTH);
  });

  it.each([
    ['a plugin provides all of them', { portMappings: true, bandwidth: true }, ASKING],
    ['the pod requests none', {}, { ...ASKING, annotations: {}, ports: [] }],
  ])('is not reported if %s', async (_, capabilities, pod) => {
    await attach(capabilities, pod as typeof ASKING);
    expect(node.warnings).toEqual([]);
    expect(node.unserved).toEqual([]);
    expect(await network.troubleOf({ id: 'c1' })).toBe('');
  });
});
