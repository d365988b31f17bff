import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killProcessTree } from '../../../../src/node/process/process-tree';

const DIR = mkdtempSync(join(tmpdir(), 'process-tree-'));
// The name of a script's file is the name of its process.
writeFileSync(join(DIR, 'a) Z (b'), '#!/bin/sh\necho $$\nwhile :; do sleep 67; done', { mode: 0o755 });
afterAll(() => rmSync(DIR, { recursive: true }));

const SHELLS: ChildProcess[] = [];

/**
 * Runs a script as the leader of its own session, like an exec'd process. @returns the pids that it
 * printed, one per line, once there are `count`.
 */
async function startTree(script: string, count: number): Promise<number[]> {
  const shell = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  SHELLS.push(shell);
  let text = '';
  while (text.split('\n').length <= count) {
    const [chunk] = (await once(shell.stdout, 'data')) as [Buffer];
    text += chunk.toString();
  }
  return text.trim().split('\n').map(Number);
}

async function isAlive(pid: number): Promise<boolean> {
  try {
    const stat = await files.readFile(`/proc/${pid}/stat`, 'utf8');
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
}

const aliveOf = async (pids: number[]) => {
  const alive = await Promise.all(pids.map(isAlive));
  return pids.filter((_, index) => alive[index]);
};

const everyone = () => Promise.resolve(true);

describe('killProcessTree', () => {
  const leftovers: number[] = [];
  afterEach(() => {
    for (const pid of leftovers.splice(0)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // The process is gone, as expected.
      }
    }
  });

  it.each([
    { desc: 'a single process', script: 'echo $$; exec sleep 60', count: 1 },
    {
      desc: 'children and grandchildren',
      script: 'echo $$; sh -c "echo \\$\\$; sleep 61 & echo \\$!; wait" & wait',
      count: 3,
    },
    {
      desc: 'a child in a session of its own',
      script: 'echo $$; setsid sh -c "echo \\$\\$; exec sleep 62" & wait',
      count: 2,
    },
    {
      desc: 'an orphan, by its session',
      script: 'echo $$; (sleep 63 & echo $!) ; (sh -c "sleep 64 & echo \\$!") ; exec sleep 65',
      count: 3,
    },
    {
      desc: 'a process that ignores SIGTERM',
      script: 'trap "" TERM HUP INT; echo $$; while :; do sleep 66; done',
      count: 1,
    },
    {
      desc: 'a process whose name has spaces and parentheses',
      script: `exec "${DIR}/a) Z (b"`,
      count: 1,
    },
  ])('kills $desc', async ({ script, count }) => {
    const pids = await startTree(script, count);
    leftovers.push(...pids);
    expect(await aliveOf(pids)).toEqual(pids);
    await expect(killProcessTree(pids[0]!, everyone)).resolves.toBe(true);
    expect(await aliveOf(pids)).toEqual([]);
  });

  it('kills and counts only processes that belong to the container', async () => {
    const [root, child] = (await startTree('echo $$; sleep 68 & echo $!; wait', 2)) as [number, number];
    leftovers.push(root, child);
    await expect(killProcessTree(root, (pid) => Promise.resolve(pid === child))).resolves.toBe(true);
    expect(await aliveOf([child])).toEqual([]);
    // The shell's wait has ended with its child. The test only needs to know that nobody killed the shell.
    const shell = SHELLS.at(-1)!;
    const [code, signal] =
      shell.exitCode === null ? ((await once(shell, 'exit')) as [number, string]) : [shell.exitCode];
    expect([code, signal ?? null]).toEqual([0, null]);
  });

  it('touches no unrelated process', async () => {
    const [root] = (await startTree('echo $$; exec sleep 69', 1)) as [number];
    const [stranger] = (await startTree('echo $$; exec sleep 70', 1)) as [number];
    leftovers.push(root, stranger);
    await killProcessTree(root, everyone);
    expect(await aliveOf([root, stranger])).toEqual([stranger]);
  });

  it('succeeds for a process that is already gone', async () => {
    const [root] = (await startTree('echo $$', 1)) as [number];
    await killProcessTree(root, everyone);
    await expect(killProcessTree(root, everyone)).resolves.toBe(true);
  });

  it('opens few files at once on a node with thousands of processes', async () => {
    const [root] = (await startTree('echo $$', 1)) as [number];
    const read = files.readFile;
    let [open, most, all] = [0, 0, 0];
    const spy = jest.spyOn(files, 'readFile').mockImplementation(async (...of: Parameters<typeof read>) => {
      [open, all] = [open + 1, all + 1];
      most = Math.max(most, open);
      try {
        return await read(...of);
      } finally {
        open--;
      }
    });
    const pids = Array.from({ length: 2_000 }, () => process.pid);
    await expect(killProcessTree(root, everyone, () => Promise.resolve(pids))).resolves.toBe(true);
    spy.mockRestore();
    expect([all, most]).toEqual([2_000, 16]);
  });

  it('lists the processes again before each signal, and reports survivors', async () => {
    const [root] = (await startTree('echo $$; exec sleep 71', 1)) as [number];
    leftovers.push(root);
    const kill = jest.spyOn(process, 'kill').mockImplementation(() => true);
    const belongs = jest.fn(everyone);
    await expect(killProcessTree(root, belongs)).resolves.toBe(false);
    kill.mockRestore();
    expect(belongs.mock.calls.length).toBeGreaterThan(10);
    expect(await aliveOf([root])).toEqual([root]);
  });
});
