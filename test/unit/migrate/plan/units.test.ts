import type { ProgramFacts } from '../../../../src/migrate/facts';
import { takeInventory } from '../../../../src/migrate/inventory/inventory';
import { makePlan } from '../../../../src/migrate/plan/plan';
import { oldUnits } from '../../../../src/migrate/plan/units';
import { plainNode } from '../support/node-facts';
import { KUBELET_FILES, nodeFacts } from './node-facts';

interface Given {
  readonly files: readonly string[];
  readonly programs?: readonly Pick<ProgramFacts, 'name' | 'unit'>[];
  /** The links of enabled units; undefined when they are not known. */
  readonly enabled?: readonly string[];
}

function unitsFor({ files, programs = [], enabled }: Given, keepDocker = false) {
  const facts = nodeFacts({
    files: Object.fromEntries(files.map((unit) => [`/usr/lib/systemd/system/${unit}`, '[Unit]\n'])),
    directories:
      enabled === undefined
        ? {}
        : { '/etc/systemd/system': enabled.map((unit) => `multi-user.target.wants/${unit}`) },
    facts: {
      processes: {
        programs: programs.map((one, at) => ({ ...one, pid: at + 1, args: [] })),
        socketClients: [],
      },
    },
  });
  return oldUnits(facts, keepDocker);
}

const DOCKER = ['docker.service', 'docker.socket'];
const BOTH = ['dockbridge.service', 'dockbridge.socket', 'cri-docker.service', 'cri-docker.socket'];

describe('oldUnits', () => {
  it('stops both families of units when dockbridge runs in the unit of cri-dockerd', () => {
    const { stopped, enabled, started } = unitsFor({
      files: [...BOTH, ...DOCKER],
      programs: [
        { name: 'dockbridge', unit: 'cri-docker.service' },
        { name: 'dockerd', unit: 'docker.service' },
      ],
      enabled: ['cri-docker.service', 'cri-docker.socket', 'docker.service', 'docker.socket'],
    });
    expect(stopped).toEqual([...BOTH, ...DOCKER]);
    // dockbridge.service conflicts with cri-docker.service.
    expect(enabled).toEqual(['docker.socket', 'docker.service', 'cri-docker.socket', 'cri-docker.service']);
    expect(started).toEqual(enabled);
  });

  it('stops the unit of cri-dockerd with a drop-in when there is no unit of dockbridge', () => {
    const { stopped, findings } = unitsFor({
      files: ['cri-docker.service', 'cri-docker.service.d/dockbridge.conf', 'cri-docker.socket', ...DOCKER],
      programs: [{ name: 'dockbridge', unit: 'cri-docker.service' }],
    });
    expect(stopped).toEqual(['cri-docker.service', 'cri-docker.socket', ...DOCKER]);
    expect(findings).toEqual([]);
  });

  it('does not enable a socket that was not enabled', () => {
    const { stopped, enabled, started } = unitsFor({
      files: ['dockbridge.service', 'dockbridge.socket', ...DOCKER],
      programs: [{ name: 'dockbridge', unit: 'dockbridge.service' }],
      enabled: ['docker.service', 'docker.socket'],
    });
    expect(stopped).toContain('dockbridge.socket');
    expect(enabled).toEqual(['docker.socket', 'docker.service']);
    // It runs although nothing starts it at a boot.
    expect(started).toEqual(['docker.socket', 'docker.service', 'dockbridge.service']);
  });

  it('finds a bridge in a unit of another name, with its socket', () => {
    const { stopped, findings } = unitsFor({
      files: DOCKER,
      programs: [{ name: 'cri-dockerd', unit: 'my-cri.service' }],
      enabled: ['my-cri.service', 'my-cri.socket'],
    });
    expect(stopped).toEqual(['my-cri.service', 'my-cri.socket', ...DOCKER]);
    expect(findings).toEqual([]);
  });

  it('reports a bridge that is in no unit', () => {
    const { findings } = unitsFor({ files: DOCKER, programs: [{ name: 'dockbridge', unit: '' }] });
    expect(findings).toMatchObject([
      { id: 'bridge-unit', evidence: [{ where: 'process 1', what: 'dockbridge is in no unit' }] },
    ]);
  });

  it('assumes the usual units when nothing tells, and says so', () => {
    const { stopped, findings } = unitsFor({ files: [] });
    expect(stopped).toEqual(['cri-docker.service', 'cri-docker.socket', ...DOCKER]);
    expect(findings).toMatchObject([{ id: 'bridge-unit', severity: 'change' }]);
  });

  it.each([[undefined], [[]]])(
    'enables all units again when nothing tells which are enabled: %j',
    (enabled) => {
      const files = ['dockbridge.service', ...DOCKER];
      const { stopped, enabled: again } = unitsFor({ files, ...(enabled === undefined ? {} : { enabled }) });
      expect([...again].reverse()).toEqual(stopped);
    },
  );

  it('leaves Docker alone when it stays', () => {
    const { stopped, enabled } = unitsFor(
      { files: ['cri-docker.service', ...DOCKER], enabled: DOCKER },
      true,
    );
    expect(stopped).toEqual(['cri-docker.service']);
    expect(enabled).toEqual([]);
  });
});

describe("kubelet's unit", () => {
  it('loses its dependency on a bridge in a unit of another name', () => {
    const dropIn = '/etc/systemd/system/kubelet.service.d/10-runtime.conf';
    const programs = [{ name: 'cri-dockerd' as const, pid: 1, args: [], unit: 'my-cri.service' }];
    const facts = nodeFacts({
      files: { ...KUBELET_FILES, [dropIn]: '[Unit]\nRequires=my-cri.service my-cri.socket other.service\n' },
      facts: { processes: { programs, socketClients: [] } },
    });
    const rest = { target: 'containerd', version: '1', accepted: [], keepDocker: false } as const;
    const { files } = makePlan({ ...rest, facts, findings: [], originals: new Map() });
    expect(files.find(({ path }) => path === dropIn)?.text).toBe(
      '[Unit]\nRequires=containerd.service other.service\n',
    );
    const { processes, files: present } = facts;
    expect(takeInventory(plainNode({ processes: processes!, files: present })).map(({ id }) => id)).toContain(
      'kubelet-unit',
    );
  });
});
