import { refusalText } from '../../../../src/cli/migrate/plan';
import type { Finding } from '../../../../src/migrate/finding';
import { makePlan, PlanRefused } from '../../../../src/migrate/plan/plan';
import { KUBELET_FILES, nodeFacts, type FakeNode } from './node-facts';

const SWARM: Finding = {
  ...{ id: 'swarm', severity: 'block', summary: 'S.', advice: 'A.', link: '' },
  evidence: [{ where: 'engine', what: 'active' }],
};

/** What the user reads when no plan can be made of the node. */
function textFor(node: FakeNode, findings: readonly Finding[] = []): string {
  const rest = { target: 'containerd', version: '1', accepted: [], keepDocker: false } as const;
  try {
    makePlan({ ...rest, facts: nodeFacts(node), findings, originals: new Map() });
  } catch (error) {
    if (error instanceof PlanRefused) return refusalText(error);
    throw error;
  }
  return '';
}

describe('the refusal of a plan', () => {
  it('names the finding with its evidence, and how to accept it', () => {
    const text = textFor({}, [SWARM]);
    expect(text).toContain('  swarm: S. A.\n    engine: active\n');
    expect(text).toContain('accept a finding with --accept ID');
  });

  it.each([
    ['a kubelet that has moved', { facts: { kubelet: movedKubelet() } }],
    [
      'a broken configuration of containerd',
      { files: { ...KUBELET_FILES, '/etc/containerd/config.toml': 'version = 1\nroot = "/x"\n' } },
    ],
  ])('does not offer --accept for %s', (_, node) => {
    expect(textFor(node)).toContain('--accept has no effect');
    expect(textFor(node)).not.toContain('--accept ID');
  });
});

function movedKubelet() {
  const endpoint = { value: 'unix:///run/containerd/containerd.sock', from: 'flag' };
  return { ...nodeFacts().kubelet!, endpoint };
}
