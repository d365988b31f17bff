import { DockerBridge } from '../../../src/network/docker-bridge';
import { engineId } from '../support/records';

const POD = { name: 'web', namespace: 'shop', uid: 'u', ports: [], dns: undefined };

describe("The Engine's bridge", () => {
  it.each([
    ['kubernetes.io/ingress-bandwidth', true],
    ['kubernetes.io/egress-bandwidth', true],
    ['kubernetes.io/other', false],
  ])('says of a pod with the annotation %s that it goes without: %s', async (annotation, isTold) => {
    const told: unknown[] = [];
    const bridge = new DockerBridge({ warn: (message, fields) => told.push({ message, ...fields }) });
    await bridge.attach({ Id: engineId('a') }, { ...POD, annotations: { [annotation]: '10M' } });
    const warning = {
      message: 'A pod does not get what it asks of its network',
      ...{ sandbox: engineId('a'), pod: 'shop/web' },
      reason: expect.stringContaining('bandwidth') as string,
    };
    expect(told).toEqual(isTold ? [warning] : []);
  });
});
