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
    { desc: 'none', given: [], bindings: {} },
    { desc: 'host port 0 publishes nothing', given: [{ container_port: 80 }], bindings: {} },
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
  ])('$desc', ({ given, bindings }) => {
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
    { desc: 'a host port too large', given: { host_port: 65_536 }, error: 'INVALID_ARGUMENT p[0].host_port' },
    { desc: 'no container port', given: { host_port: 80 }, error: 'INVALID_ARGUMENT p[0].container_port' },
    {
      desc: 'a container port too large',
      given: { host_port: 80, container_port: 65_536 },
      error: 'INVALID_ARGUMENT p[0].container_port',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => ports(given))).toBe(error));

  it('refuses one port twice on one address, however it is written', () => {
    const at = (host_ip: string): Given => ({ container_port: 80, host_port: 80, host_ip });
    expect(codeAndField(() => ports(at('fd00::1'), at('FD00:0::1')))).toBe('INVALID_ARGUMENT p[1].host_port');
  });
});

describe('fromEnginePorts', () => {
  it.each([
    { desc: 'by CNI', everyAddress: [''] },
    { desc: 'by the Engine', everyAddress: ['0.0.0.0', '::'] },
  ])('reads back what was published $desc', ({ everyAddress }) => {
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

  it('leaves out what is no host port of a pod', () => {
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
