import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DoctorReport, Line } from '../../src/doctor/report';
import { ChildDaemon } from './support/child-daemon';
import { Command } from './support/command';

/** What the doctor finds about a daemon that runs, but not as it should. */

jest.setTimeout(300_000);

let directory: string;
let daemon: ChildDaemon | undefined;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'))));
afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  await rm(directory, { recursive: true, force: true });
});

const start = async (...args: string[]): Promise<ChildDaemon> => (daemon = await ChildDaemon.start(args));

async function examined(check: string, { endpoint }: ChildDaemon): Promise<Line[]> {
  // On a busy machine, an answer takes a long time.
  const args = ['doctor', '-o', 'json', '--timeout', '40s', '--container-runtime-endpoint', endpoint];
  const command = new Command(args);
  await command.exit();
  expect(command.stderr).toBe('');
  const { checks } = JSON.parse(command.stdout) as DoctorReport;
  return checks.filter((line) => line.check === check);
}

it('open-files fails when the daemon has almost as many files open as it may', async () => {
  const running = await start();
  const { length } = await readdir(`/proc/${running.pid}/fd`);
  const limitFiles = (count: number): Promise<unknown> =>
    promisify(execFile)('prlimit', ['--pid', String(running.pid), `--nofile=${count}:4096`]);
  await limitFiles(length);
  const found = await examined('open-files', running);
  // Otherwise the daemon could not accept the connection through which it is stopped.
  await limitFiles(4096);
  expect(found).toEqual([
    expect.objectContaining({
      level: 'fail',
      found: expect.stringMatching(/ has \d+ of \d+ files open/) as string,
      cure: expect.stringContaining('LimitNOFILE=') as string,
    }),
  ]);
});

it('cri-socket fails when every user may open the socket', async () => {
  const running = await start();
  await chmod(new URL(running.endpoint).pathname, 0o666);
  expect(await examined('cri-socket', running)).toContainEqual(
    expect.objectContaining({
      level: 'fail',
      found: expect.stringContaining('has mode 0666: every user') as string,
      cure: expect.stringMatching(/^chmod 0660/) as string,
    }),
  );
});

it("configuration warns of a value of the file that the daemon's flag overrides", async () => {
  const file = join(directory, 'c.yaml');
  await writeFile(file, 'cni-timeout: 40s\n');
  const running = await start('--config', file, '--cni-timeout', '50s');
  expect(await examined('configuration', running)).toEqual([
    expect.objectContaining({
      level: 'warn',
      found: `${file}:1: cni-timeout: 40s has no effect, because --cni-timeout sets 50s`,
      cure: expect.stringMatching(/^Remove --cni-timeout from .*systemctl restart dockbridge/) as string,
    }),
  ]);
});
