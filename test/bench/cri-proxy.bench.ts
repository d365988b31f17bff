import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCalls } from '../../src/harness/show/calls';
import { CriClient } from '../../src/server/client/cri-client';
import { Command } from '../integration/support/command';
import { TestDaemon } from '../integration/support/daemon';
import { containerConfig, FOREVER, runPod, startedContainer } from '../integration/support/pods';
import { median, print, timed } from './measure';

const CALLS = 10_000;
const WARM_UP = 1_000;
const PODS = 5;
/**
 * The process may grow by this much after the warm-up (MB), as its two heaps do. If it kept 4 KB of each
 * call, it would grow by more.
 */
const MAX_GROWTH_MB = 40;

async function residentMb(pid: number): Promise<number> {
  const [, kb] = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kb) / 1024;
}

const percentile = (values: readonly number[], percent: number): number =>
  [...values].sort((one, other) => one - other)[Math.floor((values.length * percent) / 100)] ?? NaN;

/** The two sides run in turns, so that other load on the machine affects both alike. */
it('a unary call through `cri record` is compared with the same call without it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-bench-'));
  const tape = join(directory, 'bench.tape');
  const test = await TestDaemon.start();
  const endpoint = `unix://${join(directory, 'tape.sock')}`;
  const command = new Command([
    ...['cri', 'record', '--listen', endpoint, '--upstream', test.endpoint],
    ...['-o', tape],
  ]);
  const through = new CriClient(endpoint);
  try {
    for (let pod = 0; pod < PODS; pod++)
      await startedContainer(test, await runPod(test), containerConfig('main', FOREVER));
    while (!command.stderr.includes('passes calls on')) await new Promise((resolve) => setImmediate(resolve));
    const times: { through: number[]; direct: number[] } = { through: [], direct: [] };
    const call = {
      through: () => through.call('ListContainers', {}),
      direct: () => test.client.call('ListContainers', {}),
    };
    let early = 0;
    for (let round = -WARM_UP; round < CALLS; round++) {
      for (const who of round % 2 === 0
        ? (['through', 'direct'] as const)
        : (['direct', 'through'] as const)) {
        const ms = await timed(call[who]);
        if (round >= 0) times[who].push(ms);
      }
      if (round === 0) early = await residentMb(command.pid);
    }
    const late = await residentMb(command.pid);
    for (const percent of [10, 50, 90]) {
      const [mine, theirs] = [percentile(times.through, percent), percentile(times.direct, percent)];
      print(
        `ListContainers p${percent}: ${mine.toFixed(3)} ms through the proxy, ${theirs.toFixed(3)} ms without, added ${(mine - theirs).toFixed(3)} ms`,
      );
    }
    const added = times.through.map((ms, at) => ms - (times.direct[at] ?? NaN));
    print(`added to a call, in pairs: median ${median(added).toFixed(3)} ms over ${CALLS} calls`);
    print(
      `the proxy's memory: ${early.toFixed(0)} MB after ${WARM_UP} calls, ${late.toFixed(0)} MB at the end`,
    );
    through.close();
    command.signal('SIGTERM');
    // The tape is complete.
    expect(await command.exit()).toBe(0);
    print(command.stdout.trimEnd());
    expect(command.stdout).toMatch(new RegExp(`^${CALLS + WARM_UP} calls, \\d+ bytes in .*, 0 lines lost\n`));
    const { calls, problems } = await readCalls(tape);
    expect(problems).toEqual([]);
    const told = new Set(calls.map(({ method, status, by }) => `${method} ${status} ${by ?? ''}`));
    expect([calls.length, [...told]]).toEqual([CALLS + WARM_UP, ['ListContainers OK ']]);
    expect(late - early).toBeLessThan(MAX_GROWTH_MB);
  } finally {
    through.close();
    await command.kill();
    await test.stop();
    await rm(directory, { recursive: true, force: true });
  }
}, 600_000);
