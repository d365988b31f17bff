import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../unit/support/async';

const MAIN = join(__dirname, '../../dist/main.js');

let directory: string;
let child: ChildProcess | undefined;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-journal-'))));
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

/**
 * Runs dockbridge with a file as stderr, which stands in for the journal's stream. The environment names
 * that stream or another.
 */
function start(args: readonly string[], isTheirs: boolean): { readonly log: () => string } {
  const path = join(directory, 'stderr');
  const file = openSync(path, 'w');
  const { dev, ino } = fstatSync(file);
  const env = { PATH: process.env.PATH, JOURNAL_STREAM: `${dev}:${isTheirs ? ino : ino + 1}` };
  child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'ignore', file] });
  closeSync(file);
  return { log: () => readFileSync(path, 'utf8') };
}

const nodeArgs = (): string[] => [
  ...['serve', '--container-runtime-endpoint', `unix://${join(directory, 'cri.sock')}`],
  ...['--docker-endpoint', `unix://${join(directory, 'no-engine.sock')}`, '--network-plugin', 'no-op'],
  ...['--state-dir', join(directory, 'state'), '--run-dir', join(directory, 'run')],
];

it.each([
  [true, /^<6>\{.*"message":"Serving CRI"/m, /^<3>\{.*"message":"Docker Engine is not available"/m],
  [false, /^\{.*"message":"Serving CRI"/m, /^\{.*"message":"Docker Engine is not available"/m],
])('log lines have priorities only if stderr is the journal (%s)', async (isTheirs, info, error) => {
  const { log } = start(nodeArgs(), isTheirs);
  await until(() => error.test(log()));
  expect(log()).toMatch(info);
});

it.each([
  [true, /^<3>dockbridge: .*log-level/],
  [false, /^dockbridge: .*log-level/],
])(
  'the reason for a failed start has a priority only if stderr is the journal (%s)',
  async (isTheirs, reason) => {
    const { log } = start([...nodeArgs(), '--log-level', 'loud'], isTheirs);
    await once(child!, 'exit');
    expect(log()).toMatch(reason);
  },
);
