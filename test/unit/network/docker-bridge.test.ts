import type { EngineContainerInspect } from '../../../src/engine/types';
import { DockerBridge } from '../../../src/network/docker-bridge';
import { engineId, sandboxRecord } from '../support/records';

const NO_BANDWIDTH = "the limits of the bandwidth annotations: the Engine's bridge does not support limits";
const POD = { name: 'web', namespace: 'shop', uid: 'u', ports: [], dns: undefined };

describe("the Engine's bridge", () => {
  it.each([
    ['kubernetes.io/ingress-bandwidth', true],
    ['kubernetes.io/egress-bandwidth', true],
    ['kubernetes.io/other', false],
  ])('reports that it cannot apply the annotation %s of a pod: %s', async (annotation, isTold) => {
    const told: unknown[] = [];
    const counted: string[] = [];
    const logger = { warn: (message: string, fields?: object) => told.push({ message, ...fields }) };
    const bridge = new DockerBridge(logger, (capability) => counted.push(capability));
    const annotations = { [annotation]: '10M' };
    await bridge.attach({ Id: engineId('a') }, { ...POD, annotations });
    const warning = {
      message: 'The network does not provide what a pod requests',
      ...{ sandbox: engineId('a'), pod: 'shop/web' },
      reason: NO_BANDWIDTH,
    };
    expect(told).toEqual(isTold ? [warning] : []);
    expect(counted).toEqual(isTold ? ['bandwidth'] : []);
    expect(await bridge.troubleOf(sandboxRecord({ annotations }))).toBe(isTold ? NO_BANDWIDTH : '');
    // The counter is optional.
    await new DockerBridge(logger).attach({ Id: engineId('a') }, { ...POD, annotations });
    expect(told).toHaveLength(isTold ? 2 : 0);
  });

  it('is always ready, and has the addresses that the Engine gave', async () => {
    const bridge = new DockerBridge({ warn: () => undefined });
    expect(bridge.networkMode).toBe('bridge');
    expect(bridge.condition()).toEqual({ ready: true, reason: '', message: '' });
    const Networks = { bridge: { IPAddress: '172.17.0.2' } };
    const sandbox = { NetworkSettings: { Networks } } as unknown as EngineContainerInspect;
    expect(await bridge.stateOf(sandbox)).toEqual({ ready: true, ips: ['172.17.0.2'] });
  });
});
