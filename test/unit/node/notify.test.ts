import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Logger } from '../../../src/lib/logger';
import { notifySystemd } from '../../../src/node/notify';

let directory: string;
let complaints: unknown[];
let logger: Logger;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'notify-'));
  complaints = [];
  logger = { ...silentLogger, warn: (message, fields) => void complaints.push([message, fields]) };
  env = { PATH: `${directory}:/bin:/usr/bin`, NOTIFY_SOCKET: '/run/notify.sock' };
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A systemd-notify that notes how it was called. */
async function install(exitCode: number): Promise<() => Promise<string>> {
  const log = join(directory, 'log');
  const script = `#!/bin/sh\necho "$NOTIFY_SOCKET $@" >>${log}\nexit ${exitCode}\n`;
  await writeFile(join(directory, 'systemd-notify'), script, { mode: 0o755 });
  return () => readFile(log, 'utf8').catch(() => '');
}

describe('notifySystemd', () => {
  it.each(['--ready', 'STOPPING=1', 'WATCHDOG=1'] as const)('tells %s for our own process', async (state) => {
    const calls = await install(0);
    expect(await notifySystemd(state, logger, env)).toBe(true);
    expect(await calls()).toBe(`/run/notify.sock ${state} --pid=${process.pid}\n`);
    expect(complaints).toEqual([]);
  });

  it('does nothing without systemd', async () => {
    const calls = await install(0);
    delete env.NOTIFY_SOCKET;
    expect(await notifySystemd('--ready', logger, env)).toBe(true);
    expect([await calls(), complaints]).toEqual(['', []]);
  });

  it('a failure is logged, and no more', async () => {
    await install(1);
    expect(await notifySystemd('--ready', logger, env)).toBe(false);
    expect(complaints).toEqual([['Cannot notify systemd', expect.objectContaining({ state: '--ready' })]]);
  });

  it('so is a missing command', async () => {
    env.PATH = directory;
    await notifySystemd('--ready', logger, env);
    expect(JSON.stringify(complaints)).toContain('ENOENT');
  });
});
