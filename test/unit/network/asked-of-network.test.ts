import { capabilityArgs, limitsBandwidth, unservedBy } from '../../../src/network/cni/asked-of-network';
import { parseNetworkList } from '../../../src/network/cni/network-config';
import type { PodPort } from '../../../src/translate/sandbox/ports';
import { thrownBy } from '../support/errors';
import { listOf } from './fake-plugins';

const POD = { name: 'p', namespace: 'n', uid: 'u', annotations: {}, ports: [], dns: undefined };

describe('capability arguments', () => {
  it.each([
    ['10M', 10_000_000],
    ['1Mi', 1_048_576],
    ['1e6', 1_000_000],
    ['1.5k', 1_500],
    ['1P', 1e15],
    ['1k', 1_000],
    [' 2000 ', 2_000],
    ['1000.2', 1_001],
    ['3000.', 3_000],
    ['.5M', 500_000],
    ['2000000m', 2_000],
    ['3G', 3e9],
    ['4T', 4e12],
    ['0.001E', 1e15],
    ['5Ki', 5 * 1024],
    ['6Gi', 6 * 1024 ** 3],
    ['7Ti', 7 * 1024 ** 4],
    ['0.5Pi', 1024 ** 5 / 2],
    ['0.0005Ei', Math.ceil(0.0005 * 1024 ** 6)],
    ['2E4', 20_000],
    ['3e+4', 30_000],
    ['40000e-1', 4_000],
  ])('accept a bandwidth of %s', (quantity, rate) => {
    const args = capabilityArgs({ ...POD, annotations: { 'kubernetes.io/ingress-bandwidth': quantity } }, '');
    expect(args).toEqual({ bandwidth: { ingressRate: rate, ingressBurst: 2_147_483_647 } });
  });

  it.each(['', 'fast', '-1M', '999', '2P', '1MM', 'NaN', 'x1M', '1Mx', '1m', 'k', '1ki', '1e3k'])(
    'refuse a bandwidth of "%s"',
    (quantity) => {
      const annotations = { 'kubernetes.io/egress-bandwidth': quantity };
      expect(thrownBy(() => capabilityArgs({ ...POD, annotations }, ''))).toContain(
        'is not a bandwidth from 1k to 1P',
      );
    },
  );

  it('contain ports, DNS and a set of ranges for each pod CIDR', () => {
    const ports: PodPort[] = [{ hostPort: 80, containerPort: 8080, protocol: 'sctp', hostIp: '::1' }];
    const dns = { servers: ['10.0.0.1'], searches: [], options: [] };
    expect(capabilityArgs({ ...POD, ports, dns }, '10.0.0.0/24, fd00::/64')).toEqual({
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'sctp', hostIP: '::1' }],
      dns,
      ipRanges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/64' }]],
    });
    expect(capabilityArgs(POD, '')).toEqual({});
  });

  it('refuse an invalid bandwidth with the name of its annotation', () => {
    for (const annotation of ['kubernetes.io/ingress-bandwidth', 'kubernetes.io/egress-bandwidth'])
      expect(thrownBy(() => capabilityArgs({ ...POD, annotations: { [annotation]: '1' } }, ''))).toBe(
        `INVALID_ARGUMENT config.annotations["${annotation}"]: "1" is not a bandwidth from 1k to 1P (bits per second)`,
      );
  });

  it('limit each direction by its own annotation', () => {
    const egress = { 'kubernetes.io/egress-bandwidth': '2M' };
    const both = { ...egress, 'kubernetes.io/ingress-bandwidth': '1M' };
    expect(capabilityArgs({ ...POD, annotations: egress }, '')).toEqual({
      bandwidth: { egressRate: 2_000_000, egressBurst: 2_147_483_647 },
    });
    expect(capabilityArgs({ ...POD, annotations: both }, '')).toEqual({
      bandwidth: {
        ...{ ingressRate: 1_000_000, ingressBurst: 2_147_483_647 },
        ...{ egressRate: 2_000_000, egressBurst: 2_147_483_647 },
      },
    });
  });

  it.each([
    ['kubernetes.io/ingress-bandwidth', true],
    ['kubernetes.io/egress-bandwidth', true],
    ['kubernetes.io/bandwidth', false],
  ])('treat the annotation %s as a limit of bandwidth: %s', (annotation, limits) => {
    expect(limitsBandwidth({ [annotation]: 'whatever' })).toBe(limits);
  });

  it('of a recorded pod that no plugin serves are named in messages', () => {
    const config = parseNetworkList(JSON.stringify(listOf(['a'])));
    const portMappings = [{ hostPort: 80, protocol: 'TCP' }, 'odd', { hostPort: 53, protocol: 'udp' }];
    expect(unservedBy(config, { portMappings })).toEqual([
      {
        capability: 'portMappings',
        message:
          'host port 80/tcp, 53/udp: no plugin of CNI network "net" has the capability "portMappings"; ' +
          'add the portmap plugin, unless something else on the node provides this',
      },
    ]);
    expect(unservedBy(config, { portMappings: [] })).toEqual([]);
    expect(unservedBy(config, { bandwidth: {} }).map(({ capability }) => capability)).toEqual(['bandwidth']);
  });
});
