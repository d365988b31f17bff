import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Target } from '../../../../src/migrate/mapping/row';
import { makePlan, type Plan, type PlanInput } from '../../../../src/migrate/plan/plan';
import { KUBELET_FILES, nodeFacts, type FakeNode } from './node-facts';

const shell = promisify(execFile);

function planFor(node: FakeNode = {}, target: Target = 'containerd', more: Partial<PlanInput> = {}): Plan {
  return makePlan({
    facts: nodeFacts(node),
    findings: [],
    target,
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
    ...more,
  });
}

const stepOf = ({ steps }: Plan, id: string) => steps.find((one) => one.id === id)!;

describe('the step backup', () => {
  let scratch: string;
  beforeEach(async () => (scratch = await mkdtemp(join(tmpdir(), 'steps-'))));
  afterEach(() => rm(scratch, { recursive: true }));

  const archiveOf = (plan: Plan) => /\/var\/backups\/\S+\.gz/.exec(stepOf(plan, 'backup').check[0]!)![0];

  it('keeps the first archive when it runs again', async () => {
    const plan = planFor();
    const [, command = ''] = stepOf(plan, 'backup').commands;
    for (const path of Object.keys(KUBELET_FILES)) {
      await mkdir(dirname(join(scratch, path)), { recursive: true });
      await writeFile(join(scratch, path), 'first');
    }
    const archive = join(scratch, 'archive');
    const here = command.replace('-C /', `-C ${scratch}`).replace(archiveOf(plan), archive);
    await shell('sh', ['-c', here]);
    const first = await readFile(archive);
    await expect(shell('sh', ['-c', here])).rejects.toThrow(/exist|overwrite/);
    expect(await readFile(archive)).toEqual(first);
    const { stdout } = await shell('tar', ['-tzf', archive]);
    expect(stdout).toContain('var/lib/kubelet/kubeadm-flags.env\n');
  });

  it('has another archive for a plan of changed files, and the later steps read it', () => {
    const first = planFor();
    const second = planFor({ files: { ...KUBELET_FILES, '/etc/crictl.yaml': 'timeout: 5\n' } });
    expect(archiveOf(second)).not.toBe(archiveOf(first));
    expect(archiveOf(planFor())).toBe(archiveOf(first));
    expect(stepOf(first, 'edit-kubelet').undo[0]).toContain(archiveOf(first));
  });
});

describe('the certificates of registries', () => {
  const plan = planFor({
    directories: {
      '/etc/docker/certs.d': ['a.example/ca.crt', 'b.example/ca.crt', 'b.example/client.key'],
      '/etc/containerd/certs.d': ['b.example/ca.crt'],
    },
  });
  const { commands, undo } = stepOf(plan, 'write-target');

  it('are copied one by one, and not over those of the target', () => {
    expect(commands.filter((command) => command.includes('cp '))).toEqual([
      expect.stringMatching(/ \/etc\/containerd\/certs.d\/a.example\/ca.crt$/),
      expect.stringMatching(/ \/etc\/containerd\/certs.d\/b.example\/client.key$/),
    ]);
  });

  it('leave the target again when the step is taken back', () => {
    expect(undo).toContain('rm -f /etc/containerd/certs.d/a.example/ca.crt');
    expect(undo.join('\n')).not.toContain('b.example/ca.crt');
  });

  it("stand in the backup with the target's own", () => {
    expect(stepOf(plan, 'backup').commands[1]).toContain(' etc/containerd/certs.d ');
  });
});
