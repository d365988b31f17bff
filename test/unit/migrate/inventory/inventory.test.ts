import { hasDocker, takeInventory } from '../../../../src/migrate/inventory/inventory';
import { exitCodeOf } from '../../../../src/migrate/finding';
import { container, engine, files, idsOf, plainNode, podContainer } from '../support/node-facts';

describe('takeInventory', () => {
  it('finds everything in order on a node on which only the runtime has to change', () => {
    const findings = takeInventory(plainNode());
    expect(idsOf(findings)).toEqual([
      'ok no-cni',
      'ok foreign',
      'ok setting-iptables',
      'ok local-image',
      'ok kubelet-endpoint',
      'ok containerd-shared',
      'ok cgroup',
      'ok disk',
    ]);
    expect(exitCodeOf(findings)).toBe(0);
  });

  it('puts the worst findings first, and gives the same findings for the same facts', () => {
    const facts = plainNode({
      engine: engine({
        containers: [
          container('compose-db-1'),
          podContainer('agent', 'main', { mounts: ['/var/run/docker.sock'] }),
        ],
      }),
      unreadable: [{ path: '/etc/docker/daemon.json', reason: 'EIO' }],
    });
    const findings = takeInventory(facts);
    expect(idsOf(findings).slice(0, 3)).toEqual([
      'block foreign',
      'change docker-sock-pod',
      'review unreadable',
    ]);
    expect(exitCodeOf(findings)).toBe(3);
    expect(takeInventory(facts)).toEqual(findings);
  });

  it('does not forbid the move because of other containers when Docker stays', () => {
    const facts = plainNode({ engine: engine({ containers: [container('compose-db-1')] }) });
    expect(idsOf(takeInventory(facts, { keepDocker: true }))).toContain('review foreign');
    expect(exitCodeOf(takeInventory(facts, { keepDocker: true }))).toBe(0);
  });

  it('works on facts that were written as JSON and read again', () => {
    const facts = plainNode({ engine: engine({ containers: [podContainer('web', 'POD')] }) });
    const again = JSON.parse(JSON.stringify(facts)) as typeof facts;
    expect(takeInventory(again)).toEqual(takeInventory(facts));
  });
});

describe('hasDocker', () => {
  const empty = plainNode({
    files: {},
    directories: {},
    host: { ...plainNode().host, disks: [] },
  });
  const { engine: _, ...bare } = empty;

  it('is false on a node without any sign of Docker', () => {
    expect(hasDocker(bare)).toBe(false);
  });

  it.each([
    ['a configuration', { files: files({ '/etc/docker/daemon.json': '{}' }) }],
    ['a unit', { files: files({ '/usr/lib/systemd/system/docker.service': '' }) }],
    ['a socket', { directories: { '/run': ['docker.sock'] } }],
    [
      'a process',
      { processes: { programs: [{ name: 'dockerd' as const, pid: 1, args: [] }], socketClients: [] } },
    ],
    ['an answer of the Engine', { engine: engine() }],
  ])('is true with %s', (_name, more) => {
    expect(hasDocker({ ...bare, ...more })).toBe(true);
  });
});
