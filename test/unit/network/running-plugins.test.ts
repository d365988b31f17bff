import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { RunningPlugins } from '../../../src/network/cni/running-plugins';
import { rejectionOf } from '../support/errors';

const ADD = { sandboxId: 'c1', plugin: 'one', command: 'ADD' };

let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-plugins-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(directory, { recursive: true });
});

function sleeper(env: NodeJS.ProcessEnv = {}): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['1000'], { detached: true, env: { ...process.env, ...env } });
  children.push(child);
  return child as ChildProcess & { pid: number };
}

async function plugins(patience = 0, killWait = 5_000): Promise<RunningPlugins> {
  const found = new RunningPlugins(directory, silentLogger, { patience, killWait });
  await found.load();
  return found;
}

describe('plugins that a killed daemon left at work', () => {
  it('are waited for by their pod alone, and killed when they take too long', async () => {
    const child = sleeper();
    await (await plugins()).begin(child.pid, ADD);
    const next = await plugins();
    await next.whenQuiet('c2', undefined);
    expect(child.signalCode).toBeNull();
    const gone = once(child, 'exit');
    await next.whenQuiet('c1', undefined);
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('are not killed when they end in time', async () => {
    const child = sleeper();
    await (await plugins()).begin(child.pid, ADD);
    const quiet = (await plugins(60_000)).whenQuiet('c1', undefined);
    child.kill('SIGTERM');
    await quiet;
    expect(child.signalCode).toBe('SIGTERM');
  });

  it('keep nobody waiting who has gone', async () => {
    await (await plugins()).begin(sleeper().pid, ADD);
    const gone = AbortSignal.abort(new Error('cancelled'));
    await expect((await plugins(60_000)).whenQuiet('c1', gone)).rejects.toThrow('cancelled');
  });

  it('are named where they cannot be killed, and waited for no longer', async () => {
    // Not the leader of its group: our signal to the group misses it, as one to a process in the kernel would.
    const child = spawn('sleep', ['1000']);
    children.push(child);
    await (await plugins()).begin(child.pid!, ADD);
    const next = await plugins(0, 50);
    expect(await rejectionOf(next.whenQuiet('c1', undefined))).toBe(
      `UNAVAILABLE CNI plugin "one" is still running ADD of an earlier call and cannot be killed (process ${child.pid})`,
    );
    expect(await next.settle(new AbortController().signal)).toBe(false);
    child.kill('SIGKILL');
    await next.whenQuiet('c1', undefined);
    expect(await next.settle(new AbortController().signal)).toBe(true);
  });
});

it('a process whose environment looks like a plugin is nothing to us, nor is one with a reused pid', async () => {
  const child = sleeper({ CNI_NETNS: '/run/dockbridge/netns/x', CNI_COMMAND: 'ADD' });
  const body = { ...ADD, pid: child.pid, process: `${child.pid} 1 another-boot` };
  writeFileSync(join(directory, `${child.pid}-1`), JSON.stringify(body));
  writeFileSync(join(directory, 'half'), '{"pid":');
  expect(await (await plugins()).settle(new AbortController().signal)).toBe(true);
  expect([child.signalCode, readdirSync(directory)]).toEqual([null, []]);
});

describe('plugins of our own', () => {
  it('leave nothing behind once they have ended', async () => {
    const own = await plugins();
    const onEnd = await own.begin(sleeper().pid, ADD);
    expect(readdirSync(directory)).toHaveLength(1);
    await onEnd(true);
    expect(readdirSync(directory)).toEqual([]);
    await own.whenQuiet('c1', undefined);
  });

  it('are waited for when they did not end although they were killed', async () => {
    const own = await plugins(60_000);
    const child = sleeper();
    const onEnd = await own.begin(child.pid, ADD);
    await onEnd(false);
    const quiet = own.whenQuiet('c1', undefined);
    child.kill('SIGTERM');
    await quiet;
    expect(child.signalCode).toBe('SIGTERM');
  });

  it('run although nothing can be written down', async () => {
    await rm(directory, { recursive: true });
    writeFileSync(directory, '');
    const onEnd = await (await plugins()).begin(sleeper().pid, ADD);
    await onEnd(true);
  });
});
