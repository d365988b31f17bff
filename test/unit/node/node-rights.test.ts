import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readNodeRights } from '../../../src/node/node-rights';

/** Returns whether the kernel lets a child process have this OOM score. */
async function mayHave(score: number): Promise<boolean> {
  try {
    await promisify(execFile)('/bin/sh', ['-c', `echo ${score} > /proc/self/oom_score_adj`]);
    return true;
  } catch {
    return false;
  }
}

describe('readNodeRights', () => {
  it('returns a score that the kernel accepts', async () => {
    const { oomFloor: floor } = await readNodeRights();
    expect(floor).toBeGreaterThanOrEqual(-1000);
    expect(floor).toBeLessThanOrEqual(1000);
    expect(await mayHave(floor)).toBe(true);
  });

  it('returns the lowest score only with the capability for it', async () => {
    expect((await readNodeRights()).oomFloor === -1000).toBe(await mayHave(-1000));
  });
});
