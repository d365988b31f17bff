import { dataRootRemoval } from '../../../../src/migrate/plan/clean-up';
import { makePlan } from '../../../../src/migrate/plan/plan';
import { podContainer } from '../support/node-facts';
import { KUBELET_FILES, nodeFacts, type FakeNode } from './node-facts';

function nodeWith(mounts: readonly string[], more: FakeNode = {}) {
  const engine = { ...nodeFacts().engine!, containers: [podContainer('web', 'app', { mounts })] };
  return nodeFacts({ ...more, facts: { engine } });
}

describe('dataRootRemoval', () => {
  it('deletes a directory of the name docker as a whole', () => {
    expect(dataRootRemoval('/data/docker/', nodeWith([]), [])).toEqual({
      removed: ['/data/docker'],
      kept: [],
    });
  });

  it('deletes only what dockerd makes in a directory of another name', () => {
    const { removed } = dataRootRemoval('/data', nodeWith(['/data/pg']), []);
    expect(removed).toContain('/data/overlay2');
    expect(removed).not.toContain('/data');
    expect(removed).not.toContain('/data/pg');
  });

  it("keeps the target's data below the data-root", () => {
    const { removed, kept } = dataRootRemoval('/var/lib/docker', nodeWith([]), [
      '/var/lib/docker/containerd/store',
    ]);
    expect(kept).toEqual(['/var/lib/docker/containerd/store']);
    expect(removed).toContain('/var/lib/docker/image');
    expect(removed).not.toContain('/var/lib/docker');
    expect(removed).not.toContain('/var/lib/docker/containerd');
  });

  it('keeps a volume of the Engine that a pod mounts by its path', () => {
    const volume = '/var/lib/docker/volumes/pg/_data';
    const { removed, kept } = dataRootRemoval('/var/lib/docker', nodeWith([volume]), []);
    expect(kept).toEqual([volume]);
    expect(removed).not.toContain('/var/lib/docker/volumes');
  });

  it('does not spare the data-root for pods that read logs there', () => {
    const node = nodeWith(['/', '/var/lib', '/var/lib/docker', '/var/lib/docker/containers']);
    expect(dataRootRemoval('/var/lib/docker', node, []).removed).toEqual(['/var/lib/docker']);
  });

  it('leaves a mount point in place', () => {
    const facts = nodeFacts();
    const disk = { path: '/docker', existing: '/docker', device: 2, sizeBytes: 1, freeBytes: 1 };
    const host = { ...facts.host, disks: [{ ...disk, isMountPoint: true }] };
    expect(dataRootRemoval('/docker', { ...facts, host }, []).removed).not.toContain('/docker');
  });

  it.each([['--root-dir=/var/lib/docker/kubelet'], ['--root-dir', '/var/lib/docker/kubelet']])(
    "keeps kubelet's directory, which %s names",
    (...args) => {
      const kubelet = { ...nodeFacts().kubelet!, arguments: args };
      expect(dataRootRemoval('/var/lib/docker', { ...nodeFacts(), kubelet }, []).kept).toEqual([
        '/var/lib/docker/kubelet',
      ]);
    },
  );

  it('deletes nothing when the data-root is the root directory', () => {
    expect(dataRootRemoval('/', nodeFacts(), []).removed).toEqual([]);
  });
});

describe('the step clean-up', () => {
  it.each([
    ['configuration', { '/etc/containerd/config.toml': 'version = 3\nroot = "/data/docker/ctrd"\n' }],
    [
      'imported file',
      {
        '/etc/containerd/config.toml': 'version = 3\noom_score = 1\nimports = ["conf.d/*.toml"]\n',
        '/etc/containerd/conf.d/50-root.toml': 'version = 3\nroot = "/data/docker/ctrd"\n',
      },
    ],
  ])("keeps the root that containerd's %s names below the data-root", (_, files) => {
    const engine = { ...nodeFacts().engine!, info: { DockerRootDir: '/data/docker' } as never };
    const { steps } = makePlan({
      facts: nodeFacts({ files: { ...KUBELET_FILES, ...files }, facts: { engine } }),
      findings: [],
      target: 'containerd',
      version: '1',
      accepted: [],
      keepDocker: false,
      originals: new Map(),
    });
    const { commands, why } = steps.at(-1)!;
    expect(commands.join('\n')).toMatch(/rm -rf --one-file-system .*\/data\/docker\/overlay2 /);
    expect(commands.join(' ').split(' ')).not.toContain('/data/docker');
    expect(why).toContain('/data/docker/ctrd');
  });
});
