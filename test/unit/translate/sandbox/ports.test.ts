import { Protocol } from '../../../../src/proto/enums';
import { fromEnginePorts, toEnginePorts } from '../../../../src/translate/sandbox/ports';
import { codeAndField } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

type Given = Parameters<typeof decoded<'PortMapping'>>[1];
const ports = (...given: Given[]) => published(['0.0.0.0', '::'], given);

function published(everyAddress: readonly string[], given: readonly Given[]) {
  return toEnginePorts(
    given.map((port) => decoded('PortMapping', port)),
    'p',
    everyAddress,
  );
}

describe('toEnginePorts', () => {
  it.each<{ desc: string; given: Given[]; bindings: object }>([
    { desc: 'no ports', given: [], bindings: {} },
    { desc: 'host port 0, which publishes nothing', given: [{ container_port: 80 }], bindings: {} },
    {
      desc: 'TCP',
      given: [{ container_port: 80, host_port: 8080 }],
      bindings: {
        '80/tcp': [
          { HostIp: '0.0.0.0', HostPort: '8080' },
          { HostIp: '::', HostPort: '8080' },
        ],
      },
    },
    {
      desc: 'UDP on one address',
      given: [{ protocol: Protocol.UDP, container_port: 53, host_port: 53, host_ip: '10.0.0.1' }],
      bindings: { '53/udp': [{ HostIp: '10.0.0.1', HostPort: '53' }] },
    },
    {
      desc: 'SCTP',
      given: [{ protocol: Protocol.SCTP, container_port: 9, host_port: 65_535 }],
      bindings: {
        '9/sctp': [
          { HostIp: '0.0.0.0', HostPort: '65535' },
          { HostIp: '::', HostPort: '65535' },
        ],
      },
    },
    {
      desc: 'one port on two addresses',
      given: [
        { container_port: 80, host_port: 80, host_ip: '10.0.0.1' },
        { container_port: 80, host_port: 80, host_ip: 'fd00::1' },
      ],
      bindings: {
        '80/tcp': [
          { HostIp: '10.0.0.1', HostPort: '80' },
          { HostIp: 'fd00::1', HostPort: '80' },
        ],
      },
    },
  ])('translates $desc', ({ given, bindings }) => {
    const exposed = Object.fromEntries(Object.keys(bindings).map((key) => [key, {}]));
    expect(ports(...given)).toEqual({ ExposedPorts: exposed, PortBindings: bindings });
  });

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'an unknown protocol',
      given: { protocol: unknownEnum(3), container_port: 1 },
      error: 'INVALID_ARGUMENT p[0].protocol',
    },
    { desc: 'a negative host port', given: { host_port: -1 }, error: 'INVALID_ARGUMENT p[0].host_port' },
    {
      desc: 'an overlarge host port',
      given: { host_port: 65_536 },
      error: 'INVALID_ARGUMENT p[0].host_port',
    },
    { desc: 'no container port', given: { host_port: 80 }, error: 'INVALID_ARGUMENT p[0].container_port' },
    {
      desc: 'an overlarge container port',
      given: { host_port: 80, container_port: 65_536 },
      error: 'INVALID_ARGUMENT p[0].container_port',
    },
    {
      desc: 'an invalid address',
      given: { host_port: 80, container_port: 80, host_ip: 'web-0' },
      error: 'INVALID_ARGUMENT p[0].host_ip',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => ports(given))).toBe(error));

  it('accepts one port on two addresses, or for two protocols', () => {
    const at = (more: Given): Given => ({ container_port: 80, host_port: 80, ...more });
    const { PortBindings } = ports(
      at({ host_ip: '10.0.0.1' }),
      at({ host_ip: '10.0.0.2' }),
      at({ protocol: Protocol.UDP, host_ip: '10.0.0.1' }),
      at({ host_port: 81, host_ip: '10.0.0.1' }),
    );
    expect(PortBindings).toEqual({
      '80/tcp': [
        { HostIp: '10.0.0.1', HostPort: '80' },
        { HostIp: '10.0.0.2', HostPort: '80' },
        { HostIp: '10.0.0.1', HostPort: '81' },
      ],
      '80/udp': [{ HostIp: '10.0.0.1', HostPort: '80' }],
    });
  });

  it('refuses one port twice on one address, in any notation', () => {
    const at = (host_ip: string): Given => ({ container_port: 80, host_port: 80, host_ip });
    expect(codeAndField(() => ports(at('fd00::1'), at('FD00:0::1')))).toBe('INVALID_ARGUMENT p[1].host_port');
  });
});

describe('fromEnginePorts', () => {
  it.each([
    { desc: 'by CNI', everyAddress: [''] },
    { desc: 'by the Engine', everyAddress: ['0.0.0.0', '::'] },
  ])('reads back ports that were published $desc', ({ everyAddress }) => {
    const { PortBindings } = published(everyAddress, [
      { container_port: 80, host_port: 8080 },
      { container_port: 80, host_port: 8081, host_ip: '10.0.0.1' },
      { protocol: Protocol.UDP, container_port: 53, host_port: 53, host_ip: '::1' },
    ]);
    expect(fromEnginePorts(PortBindings)).toEqual([
      { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIp: '' },
      { hostPort: 8081, containerPort: 80, protocol: 'tcp', hostIp: '10.0.0.1' },
      { hostPort: 53, containerPort: 53, protocol: 'udp', hostIp: '::1' },
    ]);
  });

  it('reports a port on all addresses only if both families have it', () => {
    const PortBindings = {
      '80': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8081' },
        { HostIp: '10.0.0.1', HostPort: '8080' },
      ],
      '81/udp': [
        { HostIp: '::', HostPort: '8082' },
        { HostIp: '0.0.0.0', HostPort: '8082' },
      ],
    };
    expect(fromEnginePorts(PortBindings)).toEqual([
      { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIp: '0.0.0.0' },
      { hostPort: 8081, containerPort: 80, protocol: 'tcp', hostIp: '::' },
      { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIp: '10.0.0.1' },
      { hostPort: 8082, containerPort: 81, protocol: 'udp', hostIp: '' },
    ]);
  });

  it('accepts the lowest and the highest port, and none beyond', () => {
    const PortBindings = Object.fromEntries(
      ['0/tcp', '1/tcp', '65535/tcp', '65536/tcp', '1.5/tcp'].map((key) => [
        key,
        [{ HostIp: '', HostPort: '7' }],
      ]),
    );
    expect(fromEnginePorts(PortBindings).map(({ containerPort }) => containerPort)).toEqual([1, 65_535]);
  });

  it('omits ports that are not host ports of a pod', () => {
    const PortBindings = {
      '80/tcp': null,
      '81/tcp': [{ HostIp: '', HostPort: '' }],
      '82/tcp': [{ HostIp: '', HostPort: '90-95' }],
      '83/icmp': [{ HostIp: '', HostPort: '83' }],
    };
    expect(fromEnginePorts(PortBindings)).toEqual([]);
    expect(fromEnginePorts(undefined)).toEqual([]);
  });
});
