import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriClient } from '../../src/server/client/cri-client';
import { Command } from '../integration/support/command';
import { containerConfig, FOREVER } from '../integration/support/pods';
import { FakeCri } from '../unit/harness/support/fake-cri';
import { print } from './measure';

/** Numbers of calls after which the memory is measured. */
const STOPS = [2_000, 10_000, 30_000];
/** So many calls are made on one connection, and so many at a time. */
const CALLS_OF_A_CLIENT = 500;
const AT_ONCE = 10;
const CONTAINERS = 5;
/** Each call between the first and the last stop may grow both heaps by this many bytes. One kept object takes more. */
const MAX_BYTES_A_CALL = 20;

/** Each thread of the recorder loads this. On SIGUSR2, each thread collects its garbage and prints what remains. */
const PROBE = `
const { writeSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');
const channel = new BroadcastChannel('memory');
const report = () => {
  for (let time = 0; time < 3; time++) gc();
  const { heapUsed, external } = process.memoryUsage();
  writeSync(2, JSON.stringify({ thread: isMainThread ? 'main' : 'worker', bytes: heapUsed + external }) + '\\n');
};
channel.onmessage = report;
channel.unref();
if (isMainThread) process.on('SIGUSR2', () => { report(); channel.postMessage('measure'); });
`;

interface Measured {
  readonly main: number;
  readonly worker: number;
  readonly residentMb: number;
}

async function measured(recorder: Command, before: number): Promise<Measured> {
  recorder.signal('SIGUSR2');
  const reports = (): { thread: 'main' | 'worker'; bytes: number }[] =>
    recorder.stderr
      .split('\n')
      .filter((line) => line.startsWith('{"thread"'))
      .slice(before * 2)
      .map((line) => JSON.parse(line) as { thread: 'main' | 'worker'; bytes: number });
  while (reports().length < 2) await new Promise((resolve) => setImmediate(resolve));
  const of = (thread: string): number => reports().find((one) => one.thread === thread)?.bytes ?? NaN;
  const [, kb] = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${recorder.pid}/status`, 'utf8')) ?? [];
  return { main: of('main'), worker: of('worker'), residentMb: Number(kb) / 1024 };
}

/** Runs `calls` calls, on a new connection after each 500. */
async function call(endpoint: string, calls: number): Promise<void> {
  for (let done = 0; done < calls; done += CALLS_OF_A_CLIENT) {
    const client = new CriClient(endpoint);
    for (let made = 0; made < CALLS_OF_A_CLIENT; made += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, () => client.call('ListContainers', {})));
    client.close();
  }
}

it('`cri record` keeps nothing of the calls that it has passed on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-bench-'));
  const probe = join(directory, 'probe.cjs');
  await writeFile(probe, PROBE);
  const fake = await FakeCri.start();
  const endpoint = `unix://${join(directory, 'tape.sock')}`;
  const recorder = new Command(
    [
      ...['cri', 'record', '--listen', endpoint, '--upstream', fake.endpoint],
      ...['-o', join(directory, 'bench.tape')],
    ],
    {},
    [],
    [process.execPath, '--expose-gc', '--require', probe, join(__dirname, '../../dist/main.js')],
  );
  try {
    while (!recorder.stderr.includes('passes calls on'))
      await new Promise((resolve) => setImmediate(resolve));
    const setUp = new CriClient(endpoint);
    const { pod_sandbox_id } = await setUp.call('RunPodSandbox', { config: { metadata: { name: 'web' } } });
    for (let at = 0; at < CONTAINERS; at++)
      await setUp.call('CreateContainer', {
        pod_sandbox_id,
        config: containerConfig(`c${at}`, FOREVER, { image: { image: 'busybox:1' } }),
      });
    setUp.close();
    const all: Measured[] = [];
    let done = 0;
    for (const stop of STOPS) {
      await call(endpoint, stop - done);
      done = stop;
      const now = await measured(recorder, all.length);
      all.push(now);
      print(
        `after ${stop} calls: heap of the relay ${kib(now.main)}, of the tape's writer ${kib(now.worker)}, resident ${now.residentMb.toFixed(0)} MB`,
      );
    }
    recorder.signal('SIGTERM');
    expect(await recorder.exit()).toBe(0);
    expect(recorder.stdout).toContain('0 lines lost');
    const [first, last] = [all[0]!, all.at(-1)!];
    const grown = last.main + last.worker - first.main - first.worker;
    expect(grown / (STOPS.at(-1)! - STOPS[0]!)).toBeLessThan(MAX_BYTES_A_CALL);
  } finally {
    await recorder.kill();
    await fake.stop();
    await rm(directory, { recursive: true, force: true });
  }
}, 1_800_000);

const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;
