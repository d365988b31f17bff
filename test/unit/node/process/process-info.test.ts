import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  bootId,
  hasEnded,
  parseProcessStat,
  processAgeMs,
  processIds,
  processName,
  processNameSync,
} from '../../../../src/node/process/process-info';

const STAT =
  '4711 (a) Z (b) S 12 34 56 0 -1 4194304 117 0 0 0 1 2 0 0 20 0 1 0 987654 10 20 18446744073709551615';

describe('parseProcessStat', () => {
  it('finds the fields after a name with spaces and parentheses', () => {
    expect(parseProcessStat(STAT)).toEqual({
      hasEnded: false,
      parent: 12,
      session: 56,
      startTicks: '987654',
    });
  });

  it.each(['Z', 'X'])('reports that a process in state %s has ended', (state) => {
    expect(parseProcessStat(STAT.replace(') S ', `) ${state} `)).hasEnded).toBe(true);
  });

  it('returns no start time for a text that is cut off', () => {
    expect(parseProcessStat('4711 (sh) S 12 34').startTicks).toBeUndefined();
  });
});

describe('a process', () => {
  it('has the same identity however it is read, and an age', async () => {
    const name = await processName(process.pid);
    expect(name).toBe(processNameSync(process.pid));
    expect(name).toMatch(new RegExp(`^${process.pid} \\d+ ${await bootId()}$`));
    expect(await processAgeMs(process.pid)).toBeGreaterThan(0);
    expect(await hasEnded(process.pid)).toBe(false);
    expect(await processIds()).toContain(String(process.pid));
  });

  it('has no identity and no age once it is gone', async () => {
    const child = spawn('true');
    await once(child, 'exit');
    const pid = child.pid ?? 0;
    expect(await processName(pid)).toBeUndefined();
    expect(processNameSync(pid)).toBeUndefined();
    expect(await processAgeMs(pid)).toBeUndefined();
    await expect(hasEnded(pid)).rejects.toThrow(/ENOENT|ESRCH/);
  });
});
