import { NamespaceMode, Protocol } from '../../../../src/proto/enums';
import {
  checkpointChecksum,
  checkpointOf,
  decodeCheckpoint,
  encodeCheckpoint,
  toCheckpoint,
  type SandboxCheckpoint,
} from '../../../../src/translate/sandbox/cri-dockerd-checkpoint';
import { checkSandbox } from '../../../../src/translate/sandbox/sandbox-create';
import { sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

type Port = [protocol: string, containerPort: number, hostPort: number, hostIp: string];

/** The checksums that cri-dockerd's own code returned for these ports. */
const SUMS: [ports: Port[], hostNetwork: boolean, sum: number][] = [
  [[], false, 2305795928],
  [[], true, 12315789],
  [[['tcp', 80, 8080, '']], false, 3712672205],
  [[['tcp', 80, 8080, '127.0.0.1']], false, 3406953414],
  [
    [
      ['udp', 53, 5353, ''],
      ['tcp', 53, 5353, ''],
    ],
    false,
    1721169351,
  ],
  [[['sctp', 9999, 9999, '::1']], true, 731650262],
  [
    [
      ['tcp', 80, 0, ''],
      ['tcp', 443, 8443, '2001:db8::1'],
    ],
    false,
    3502525343,
  ],
  [
    [
      ['tcp', 65535, 65535, '0.0.0.0'],
      ['udp', 1, 1, '10.0.0.1'],
      ['sctp', 7, 8, ''],
    ],
    true,
    1629077384,
  ],
  [
    [
      ['udp', 8111, 62843, '192.168.100.200'],
      ['tcp', 18068, 3439, '127.0.0.1'],
      ['tcp', 19544, 21399, 'fe80::1%eth0'],
      ['sctp', 19357, 18032, ''],
    ],
    false,
    1507771065,
  ],
];

function checkpoint(ports: Port[], hostNetwork = false): SandboxCheckpoint {
  return {
    name: 'pod',
    namespace: 'ns',
    hostNetwork,
    ports: ports.map(([protocol, containerPort, hostPort, hostIp]) => ({
      protocol,
      containerPort,
      hostPort,
      hostIp,
    })),
  };
}

describe("cri-dockerd's checkpoint", () => {
  it.each(SUMS)("has cri-dockerd's checksum: %j, host network %s", (ports, hostNetwork, sum) => {
    expect(checkpointChecksum(checkpoint(ports, hostNetwork))).toBe(sum);
  });

  it.each(SUMS)('is read back unchanged: %j, host network %s', (ports, hostNetwork) => {
    const given = checkpoint(ports, hostNetwork);
    expect(decodeCheckpoint(encodeCheckpoint(given))).toEqual({ ...given, isSound: true });
  });

  it('is exactly the text that cri-dockerd writes', () => {
    expect(encodeCheckpoint(checkpoint([['tcp', 80, 8080, '127.0.0.1']]))).toBe(
      '{"version":"v1","name":"pod","namespace":"ns","data":{"port_mappings":[{"protocol":"tcp","container_port":80,"host_port":8080,"host_ip":"127.0.0.1"}]},"checksum":3406953414}',
    );
    expect(encodeCheckpoint(checkpoint([], true))).toBe(
      '{"version":"v1","name":"pod","namespace":"ns","data":{"host_network":true},"checksum":12315789}',
    );
  });

  it.each(['null', '7', '"v1"', '{}'])('is not read from the text %j', (text) => {
    expect(decodeCheckpoint(text)).toBeUndefined();
  });

  it.each([
    { desc: 'an invalid name', change: { name: null } },
    { desc: 'no namespace', change: { namespace: undefined } },
    { desc: 'no data', change: { data: undefined } },
    { desc: 'invalid data', change: { data: 'x' } },
    { desc: 'a network flag that is not a boolean', change: { data: { host_network: 'true' } } },
    { desc: 'ports that are not a list', change: { data: { port_mappings: {} } } },
    { desc: 'an invalid port', change: { data: { port_mappings: [null] } } },
    {
      desc: 'a port without a protocol',
      change: { data: { port_mappings: [{ container_port: 1, host_port: 2 }] } },
    },
    {
      desc: 'a port without a number',
      change: { data: { port_mappings: [{ protocol: 'tcp', host_port: 2 }] } },
    },
    {
      desc: 'a port without a host port',
      change: { data: { port_mappings: [{ protocol: 'tcp', container_port: 1 }] } },
    },
    {
      desc: 'an invalid address',
      change: { data: { port_mappings: [{ protocol: 'tcp', container_port: 1, host_port: 2, host_ip: 3 }] } },
    },
  ])('is refused with $desc', ({ change }) => {
    const file = JSON.parse(encodeCheckpoint(checkpoint([['tcp', 1, 2, '']]))) as object;
    expect(decodeCheckpoint(JSON.stringify({ ...file, ...change }))).toBeUndefined();
  });

  it('is invalid with another version or checksum', () => {
    const file = JSON.parse(encodeCheckpoint(checkpoint([]))) as object;
    for (const change of [{ version: 'v2' }, { checksum: 1 }, { checksum: undefined }]) {
      const read = decodeCheckpoint(JSON.stringify({ ...file, ...change }));
      expect(read).toEqual({ ...checkpoint([]), isSound: false });
    }
  });

  it('has all ports of the request in their order, including those without a host port', () => {
    const config = decoded('PodSandboxConfig', {
      metadata: { name: 'web-0', namespace: 'shop', uid: 'uid-1' },
      port_mappings: [
        { protocol: Protocol.UDP, container_port: 53, host_port: 5353, host_ip: '10.0.0.1' },
        { container_port: 80 },
      ],
      linux: { security_context: { namespace_options: { network: NamespaceMode.NODE } } },
    });
    expect(toCheckpoint(checkSandbox(config, ''))).toEqual({
      name: 'web-0',
      namespace: 'shop',
      hostNetwork: true,
      ports: [
        { protocol: 'udp', containerPort: 53, hostPort: 5353, hostIp: '10.0.0.1' },
        { protocol: 'tcp', containerPort: 80, hostPort: 0, hostIp: '' },
      ],
    });
  });

  it("is made from the Engine's data if it was lost", () => {
    const PortBindings = {
      '80/tcp': [
        { HostIp: '', HostPort: '8080' },
        { HostIp: '127.0.0.1', HostPort: '8081' },
      ],
      '53/udp': [{ HostIp: '', HostPort: '5353' }],
    };
    expect(checkpointOf(sandboxRecord(), { PortBindings })).toEqual({
      name: 'web',
      namespace: 'shop',
      hostNetwork: false,
      ports: [
        { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' },
        { protocol: 'tcp', containerPort: 80, hostPort: 8081, hostIp: '127.0.0.1' },
        { protocol: 'udp', containerPort: 53, hostPort: 5353, hostIp: '' },
      ],
    });
  });

  it.each([
    ['', undefined],
    ['{"version":"v1","name":"pod"', undefined],
    ['[]', undefined],
    ['{"version":"v1","name":"pod","namespace":"ns","data":{"port_mappings":[1]},"checksum":1}', undefined],
    ['{"version":"v1","name":"pod","namespace":"ns","checksum":2305795928}', undefined],
    ['{"version":"v1","name":"pod","namespace":"ns","data":{},"checksum":1}', false],
    ['{"version":"v2","name":"pod","namespace":"ns","data":{},"checksum":2305795928}', false],
    ['{"version":"v1","name":"pod","namespace":"ns","data":{},"checksum":2305795928}', true],
  ])('is valid only if cri-dockerd would accept it: %s', (text, sound) => {
    expect(decodeCheckpoint(text)?.isSound).toBe(sound);
  });
});
