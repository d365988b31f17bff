import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readNodeRights } from '../../../src/node/node-rights';

/** Whether the kernel lets a child of ours have that score. */
async function mayHave(score: number): Promise<boolean> {
  try {
    await promisify(execFile)('/bin/sh', ['-c', `echo ${score} > /proc/self/oom_score_adj`]);
    return true;
  } catch {
    return false;
  }
}

describe('readNodeRights', () => {
  it('is a score that the kernel lets us set', async () => {
    const { oomFloor: floor } = await readNodeRights();
    expect(floor).toBeGreaterThanOrEqual(-1000);
    expect(floor).toBeLessThanOrEqual(1000);
    expect(await mayHave(floor)).toBe(true);
  });

  it('is all the way down with the right for it, and only then', async () => {
    expect((await readNodeRights()).oomFloor === -1000).toBe(await mayHave(-1000));
  });
});
