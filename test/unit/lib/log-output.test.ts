import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { LogOutput } from '../../../src/lib/log-output';

/** An output whose reader takes text only when `read` is called. */
function stalledOutput(most: number) {
  const written: string[] = [];
  let waiting: ((error?: Error) => void) | undefined;
  const output = new LogOutput((text, done) => {
    written.push(text);
    waiting = done;
  }, most);
  const read = (error?: Error) => {
    const done = waiting;
    waiting = undefined;
    done?.(error);
  };
  return { output, written, read };
}

describe('LogOutput', () => {
  it('keeps lines in order for a slow reader', () => {
    const { output, written, read } = stalledOutput(100);
    for (const line of ['a\n', 'b\n', 'c\n']) output.write(line);
    expect(written).toEqual(['a\n']);
    read();
    expect([written, output.dropped]).toEqual([['a\n', 'b\nc\n'], 0]);
  });

  it('drops and counts lines that a stalled reader does not take', () => {
    const { output, written, read } = stalledOutput(10);
    for (let index = 0; index < 100; index++) output.write('12345');
    expect([output.dropped, output.takeLost()]).toEqual([97, 0]);
    read();
    read();
    expect([written.join('').length, output.takeLost(), output.takeLost()]).toEqual([15, 97, 0]);
  });

  it('counts lines that could not be written, and continues', () => {
    const { output, written, read } = stalledOutput(100);
    output.write('a');
    read(new Error('write EPIPE'));
    output.write('b');
    read();
    expect([written, output.dropped]).toEqual([['a', 'b'], 1]);
  });

  it('waits in flush for the last line, but not forever', async () => {
    const { output, read } = stalledOutput(100);
    await output.flush(60_000);
    output.write('a');
    await output.flush(1);
    const flushed = output.flush(60_000);
    read();
    await flushed;
  });
});

/** Writes lines without end. Its messages on stdout prove that it is alive. */
const FLOODER = `
  const { standardError } = require(process.argv[1]);
  const output = standardError();
  setInterval(() => {
    for (let line = 0; line < 100; line++) output.write('x'.repeat(1000) + '\\n');
    process.stdout.write(output.dropped + '\\n');
  }, 1);
`;
/** Resolves once the process has dropped lines and is still alive. */
async function untilDropping(child: ChildProcess): Promise<void> {
  for await (const chunk of child.stdout! as AsyncIterable<Buffer>)
    if (/^[1-9]/m.test(chunk.toString())) return;
  throw new Error('the process has ended');
}

describe('standard error', () => {
  let child: ChildProcess | undefined;
  let directory: string;
  let built: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-log-'));
    built = join(directory, 'log-output.js');
    const { code } = transformFileSync(join(__dirname, '../../../src/lib/log-output.ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    });
    writeFileSync(built, code);
  });

  afterEach(async () => {
    child?.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  });

  it.each(['stalled', 'dead'])('survives a %s reader', async (how) => {
    child = spawn(process.execPath, ['-e', FLOODER, built], { stdio: ['ignore', 'pipe', 'pipe'] });
    if (how === 'dead') child.stderr!.destroy();
    else child.stderr!.pause();
    await untilDropping(child);
  });

  it('survives a full disk', async () => {
    const full = openSync('/dev/full', 'w');
    child = spawn(process.execPath, ['-e', FLOODER, built], { stdio: ['ignore', 'pipe', full] });
    closeSync(full);
    await untilDropping(child);
  });

  it('appends to a file', async () => {
    const path = join(directory, 'log');
    const file = openSync(path, 'w');
    const script = `const o = require(process.argv[1]).standardError(); o.write('one\\n'); o.write('two\\n');`;
    child = spawn(process.execPath, ['-e', script, built], { stdio: ['ignore', 'ignore', file] });
    closeSync(file);
    await once(child, 'exit');
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  });
});
