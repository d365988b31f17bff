import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { judge } from '../../../../src/migrate/apply/judge';
import { LineReader } from '../../../../src/migrate/apply/line-reader';
import { BashRunner, type RunOptions } from '../../../../src/migrate/apply/runner';
import { processName } from '../../../../src/node/process/process-info';
import { forPerson, lacks, prints, silent, succeeds } from '../../../../src/migrate/plan/check';

let scratch: string;
beforeEach(async () => (scratch = await mkdtemp(join(tmpdir(), 'apply-runner-'))));
afterEach(async () => {
  delete process.env.BASH_ENV;
  await rm(scratch, { recursive: true });
});

const OPTIONS: RunOptions = { limitMs: 30_000, signal: new AbortController().signal, place: 'node' };
const run = (command: string, options: Partial<RunOptions> = {}, kubeconfig?: string) =>
  new BashRunner({ directory: scratch, systemctl: 'systemctl', dockbridge: ['dockbridge'], kubeconfig }).run(
    command,
    {
      ...OPTIONS,
      ...options,
    },
  );

describe('BashRunner', () => {
  it('returns exit code and output', async () => {
    expect(await run('echo out; echo err >&2; exit 3')).toMatchObject({ exitCode: 3, problem: '' });
    expect((await run("printf 'no end'")).output).toBe('no end\n');
  });

  it('ends at the first part that fails', async () => {
    expect(await run('false | true; echo on')).toEqual({ exitCode: 1, problem: '', output: '' });
  });

  it('does nothing when the start could not be recorded', async () => {
    const onStart = () => Promise.reject(new Error('the disk is full'));
    await expect(run('touch done', { onStart })).rejects.toThrow('the disk is full');
    await expect(readFile(join(scratch, 'done'))).rejects.toThrow('ENOENT');
  });

  it('records the process before the command begins', async () => {
    let name = '';
    const onStart = (process: string): Promise<void> => {
      name = process;
      return Promise.resolve();
    };
    expect((await run('echo $$', { onStart })).output.trim()).toBe(name.split(' ')[0]);
  });

  it('gives the kubeconfig to the commands of the cluster only', async () => {
    const command = 'echo "${KUBECONFIG-none}"';
    expect((await run(command, { place: 'cluster' }, '/k')).output).toBe('/k\n');
    expect((await run(command, {}, '/k')).output).toBe(`${process.env.KUBECONFIG ?? 'none'}\n`);
  });

  it('is not changed by the environment of the user', async () => {
    await writeFile(join(scratch, 'env.sh'), 'echo evil\n');
    process.env.BASH_ENV = join(scratch, 'env.sh');
    expect((await run('echo "$LC_ALL"')).output).toBe('C\n');
  });

  it('does not begin when the user has ended it', async () => {
    const interrupt = new AbortController();
    interrupt.abort(new Error('ended'));
    const outcome = await run('touch done', { signal: interrupt.signal });
    expect(outcome).toEqual({ exitCode: undefined, problem: 'ended', output: '' });
  });

  it('ends all processes of a command', async () => {
    const interrupt = new AbortController();
    const pids: number[] = [];
    const outcome = await run(`sh -c 'trap "" INT; echo $$; exec sleep 60' & wait`, {
      signal: interrupt.signal,
      onLine: (line) => {
        pids.push(Number(line));
        interrupt.abort(new Error('ended'));
      },
    });
    expect(outcome.problem).toBe('ended');
    const [pid = 0] = pids;
    // The kernel needs a moment for the end of a process.
    while ((await processName(pid)) !== undefined) await pause(5);
  });
});

describe('LineReader', () => {
  it('joins parts of lines and characters, and does not mix streams', () => {
    const lines: string[] = [];
    const reader = new LineReader((line) => lines.push(line));
    const [one, two] = [{}, {}];
    const word = Buffer.from('zwölf\n');
    reader.add(one, word.subarray(0, 3));
    reader.add(two, Buffer.from('a\nb'));
    reader.add(one, word.subarray(3));
    reader.end();
    expect(lines).toEqual(['a', 'zwölf', 'b']);
  });

  it('keeps no more than the end of long output', () => {
    let shown = 0;
    const reader = new LineReader(() => shown++);
    for (let at = 0; at < 20; at++) reader.add(reader, Buffer.alloc(1 << 20, 'x'));
    reader.add(reader, Buffer.from('\nlast\n'));
    expect(shown).toBeGreaterThan(5_000);
    expect(reader.tail.length).toBeLessThan(3 << 20);
    expect(reader.tail.endsWith('\nlast\n')).toBe(true);
  });
});

describe('judge', () => {
  const outcome = (exitCode: number, output = '') => ({ exitCode, output, problem: '' });

  it.each([
    ['an exit code', succeeds('x'), outcome(0, 'text'), outcome(1)],
    ['silence', silent('x'), outcome(0, '\n'), outcome(0, 'text')],
    ['silence with success', silent('x'), outcome(0), outcome(1)],
    [
      'a whole text, whatever the exit code',
      prints('x', 'in|out'),
      outcome(3, 'out\n'),
      outcome(0, 'output'),
    ],
    ['several lines', prints('x', 'a(\\na){1}'), outcome(3, 'a\na\n'), outcome(3, 'a\na\na')],
    ['a text that is missing', lacks('x', 'bad'), outcome(0, 'good'), outcome(0, 'a\nvery bad\nline')],
    ['a text that is missing, with success', lacks('x', 'bad'), outcome(0), outcome(1)],
    ['a person', forPerson('x'), outcome(0), outcome(1)],
  ])('tells right from wrong by %s', (_, check, right, wrong) => {
    expect(judge(check, right)).toBe('');
    expect(judge(check, wrong)).not.toBe('');
    expect(judge(check, { ...right, problem: 'it took too long' })).toBe('it took too long');
  });
});
