import { DockerBridge } from '../../../src/network/docker-bridge';
import { engineId, sandboxRecord } from '../support/records';

const POD = { name: 'web', namespace: 'shop', uid: 'u', ports: [], dns: undefined };

describe("The Engine's bridge", () => {
  it.each([
    ['kubernetes.io/ingress-bandwidth', true],
    ['kubernetes.io/egress-bandwidth', true],
    ['kubernetes.io/other', false],
  ])('says of a pod with the annotation %s that it goes without: %s', async (annotation, isTold) => {
    const told: unknown[] = [];
    const counted: string[] = [];
    const logger = { warn: (message: string, fields?: object) => told.push({ message, ...fields }) };
    const bridge = new DockerBridge(logger, (capability) => counted.push(capability));
    const annotations = { [annotation]: '10M' };
    await bridge.attach({ Id: engineId('a') }, { ...POD, annotations });
    const warning = {
      message: 'The network does not provide what a pod requests',
      ...{ sandbox: engineId('a'), pod: 'shop/web' },
      reason: expect.stringContaining('bandwidth') as string,
    };
    expect(told).toEqual(isTold ? [warning] : []);
    expect(counted).toEqual(isTold ? ['bandwidth'] : []);
    expect(await bridge.troubleOf(sandboxRecord({ annotations }))).toMatch(isTold ? /bandwidth/ : /^$/);
  });
});
