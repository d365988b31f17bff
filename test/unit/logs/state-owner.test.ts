import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimState } from '../../../src/logs/state-owner';

describe('claimState', () => {
  let directory: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'dockbridge-owner-'));
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  const startOf = (pid: number | undefined): string =>
    fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? '';
  const owned = (text: string): void => fs.writeFileSync(join(directory, 'owner'), text);

  it('makes the directory, and lets its owner come again', () => {
    const state = join(directory, 'a/b');
    claimState(state);
    claimState(state);
    expect(fs.statSync(state).mode & 0o777).toBe(0o700);
  });

  it('refuses while another process lives, but not when it is gone or another one of its number', async () => {
    const other = spawn('sleep', ['1000']);
    const claim = `${other.pid} ${startOf(other.pid)}`;
    owned(claim);
    expect(() => claimState(directory)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }) as Error,
    );
    owned(`${other.pid} 1`);
    claimState(directory);
    owned(claim);
    other.kill('SIGKILL');
    await once(other, 'exit');
    claimState(directory);
    expect(fs.readFileSync(join(directory, 'owner'), 'utf8')).toBe(`${process.pid} ${startOf(process.pid)}`);
  });

  it.each(['', 'nonsense', '99999999 5', '../.. 5'])('takes %j for no owner', (text) => {
    owned(text);
    claimState(directory);
  });
});
