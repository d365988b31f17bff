import { silentLogger } from '../../../src/lib/logger';
import { capabilityArgs } from '../../../src/network/cni/asked-of-network';
import { passOverDead, publishersOf, refusePortConflicts } from '../../../src/network/cni/host-ports';
import type { JsonObject } from '../../../src/lib/json';
import type { Attachment, CachedAttachment } from '../../../src/network/cni/result-cache';
import type { PodPort } from '../../../src/translate/sandbox/ports';
import { thrownBy } from '../support/errors';
import { ATTACHMENT, listOf, RESULT } from './fake-plugins';

const POD = { name: 'p', namespace: 'n', uid: 'u', annotations: {}, ports: [], dns: undefined };

describe('host ports', () => {
  const port = (hostIp: string, protocol: PodPort['protocol'] = 'tcp'): PodPort => ({
    ...{ hostPort: 80, containerPort: 1, protocol, hostIp },
  });
  it.each([
    ['', '', true],
    ['', '10.0.0.1', true],
    ['10.0.0.1', '0.0.0.0', true],
    ['::', 'fd00::1', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['fd00::1', 'FD00:0::1', true],
    ['0:0:0:0:0:0:0:0', 'fd00::1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['0.0.0.0', '::', false],
    ['fd00::1', '0.0.0.0', false],
  ])('of the addresses "%s" and "%s" conflict: %s', (one, other, conflict) => {
    const taken = {
      ...ATTACHMENT,
      config: '',
      result: undefined,
      capabilityArgs: capabilityArgs({ ...POD, ports: [port(other)] }, ''),
    };
    const refuse = (wanted: PodPort): void => refusePortConflicts([wanted], [taken]);
    if (conflict) expect(() => refuse(port(one))).toThrow('host port 80/tcp');
    else refuse(port(one));
    refuse(port(one, 'udp'));
  });

  const taken = (capabilityArgs: JsonObject, cniArgs: Attachment['cniArgs'] = []): CachedAttachment => ({
    ...{ ...ATTACHMENT, containerId: 'x1', config: '', result: undefined, cniArgs },
    capabilityArgs,
  });
  const mapping = { hostPort: 80, containerPort: 1, protocol: 'tcp', hostIP: '' };

  it('are refused with the port, its address and the pod that has it', () => {
    const shop: Attachment['cniArgs'] = [
      ['K8S_POD_NAMESPACE', 'shop'],
      ['K8S_POD_NAME', 'web'],
    ];
    const refused = (wanted: readonly PodPort[], other: Attachment['cniArgs']): string =>
      thrownBy(() => refusePortConflicts(wanted, [taken({}), taken({ portMappings: [mapping] }, other)]));
    const another = { ...port(''), hostPort: 81 };
    expect(refused([another, port('')], shop)).toBe(
      'FAILED_PRECONDITION host port 80/tcp is taken by pod shop/web',
    );
    expect(refused([port('10.0.0.1')], shop)).toBe(
      'FAILED_PRECONDITION host port 80/tcp of 10.0.0.1 is taken by pod shop/web',
    );
    for (const half of shop)
      expect(refused([port('')], [half])).toBe('FAILED_PRECONDITION host port 80/tcp is taken by pod x1');
  });

  it('are compared with all ports of other pods, in any notation', () => {
    const conflict = (...portMappings: unknown[]): void =>
      refusePortConflicts([port('10.0.0.1')], [taken({ portMappings })]);
    expect(() => conflict({ ...mapping, hostPort: 1 }, 'odd', { ...mapping, protocol: 'TCP' })).toThrow(
      '80/tcp',
    );
    expect(() => conflict({ hostPort: 80, protocol: 'tcp' })).toThrow('80/tcp');
    conflict({ ...mapping, hostPort: 81 }, { ...mapping, protocol: 'udp' }, { ...mapping, hostIP: '::' });
    conflict({ ...mapping, hostPort: '80' });
    refusePortConflicts([], [taken({ portMappings: [mapping] })]);
  });

  it('of pods without an entry are known too', () => {
    const filed = taken({ portMappings: [mapping] });
    const pod = {
      name: 'db',
      namespace: 'shop',
      uid: 'u',
      annotations: {},
      ports: [port('')],
      dns: undefined,
    };
    const unfiled = new Map([
      ['u1', { pod, ips: [] }],
      ['u2', { pod: undefined, ips: ['10.0.0.2'] }],
    ]);
    const [first, second, third, ...rest] = publishersOf([filed], unfiled);
    expect([first, rest]).toEqual([filed, []]);
    expect(second).toEqual({
      containerId: 'u1',
      cniArgs: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', 'shop'],
        ['K8S_POD_NAME', 'db'],
        ['K8S_POD_INFRA_CONTAINER_ID', 'u1'],
        ['K8S_POD_UID', 'u'],
      ],
      capabilityArgs: { portMappings: [mapping] },
    });
    expect(third).toEqual({
      containerId: 'u2',
      cniArgs: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_INFRA_CONTAINER_ID', 'u2'],
      ],
      capabilityArgs: {},
    });
  });

  describe('that other programs claim', () => {
    const config = JSON.stringify(listOf(['one']));
    const left = (containerId: string, over: Partial<CachedAttachment> = {}): CachedAttachment => ({
      ...taken({ portMappings: [mapping] }),
      ...{ containerId, config, netns: `/former/netns/${containerId}`, result: RESULT },
      ...over,
    });
    let entries: CachedAttachment[];
    let deleted: unknown[][];
    let removed: string[];
    let failure: Error | undefined;
    let told: unknown[];
    const dead = async (wanted: readonly PodPort[] = [port('')]): Promise<string[]> => {
      const found = await passOverDead(wanted, {
        chain: {
          del: ({ name }, attachment, result) => {
            deleted.push([name, attachment, result]);
            return failure === undefined ? Promise.resolve() : Promise.reject(failure);
          },
        },
        cache: {
          values: () => entries,
          remove: ({ containerId }) => Promise.resolve(void removed.push(containerId)),
        },
        handles: { owns: (path) => path.startsWith('/handles/') },
        logger: { ...silentLogger, warn: (message, fields) => told.push([message, fields]) },
      });
      return found.map(({ containerId }) => containerId);
    };
    beforeEach(() => {
      [entries, deleted, removed, told, failure] = [[], [], [], [], undefined];
    });

    it('are free if no process lives in their namespace, and are undone if an earlier dockbridge left them', async () => {
      const ours = left('o1', { netns: '/handles/o1' });
      const elsewhere = left('x4', { capabilityArgs: { portMappings: [{ ...mapping, hostPort: 81 }] } });
      entries = [ours, left('x2'), left('x3', { netns: '/run/netns/cni-3' }), elsewhere];
      expect(await dead()).toEqual(['x2', 'x3']);
      expect(deleted).toEqual([['net', { ...left('x2'), netns: '' }, RESULT]]);
      expect(removed).toEqual(['x2']);
      expect(told).toEqual([]);
    });

    it('are read only for a pod that requests some', async () => {
      entries = [left('x2')];
      expect(await dead([])).toEqual([]);
      expect(deleted).toEqual([]);
    });

    it('are free even if they cannot be undone, which is logged', async () => {
      entries = [left('x2'), left('x3', { config: '{' })];
      failure = new Error('no plugin');
      expect(await dead()).toEqual(['x2', 'x3']);
      expect([deleted.length, removed]).toEqual([1, []]);
      expect(told).toEqual([
        ['Cannot undo the network of a pod from an earlier --run-dir', { sandbox: 'x2', error: 'no plugin' }],
      ]);
    });

    it('are taken while processes live in their namespace', async () => {
      entries = [left('x2', { netns: '/proc/self/ns/net', cniArgs: [] })];
      expect(await dead()).toEqual([]);
      expect(deleted).toEqual([]);
    });
  });
});
