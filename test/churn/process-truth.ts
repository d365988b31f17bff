import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Ledger } from './ledger';
import { isHungExec } from './plan';
import type { World } from './world';

/**
 * The resources that a daemon without pods may hold, and the increase for each container and sandbox.
 * Anything beyond is a leak.
 */
const DESCRIPTORS = { atRest: 75, each: 6 };
/** The resident memory that the whole process may use, in bytes, with or without pods. */
const MOST_MEMORY = 400 * 1024 * 1024;
/** Each call ends within this time, in seconds, even if its caller gave up, because Engine calls have time limits. */
const LONGEST_CALL_S = '300';

/** Checks that no command of a timed-out ExecSync and no plugin still runs. */
export async function processesAreWrong({ node, daemon }: World): Promise<string[]> {
  const wrong: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (isHungExec(words))
      wrong.push(`process ${pid} of a timed-out ExecSync still runs: ${words.join(' ')}`);
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.includes(`CNI_PATH=${node.binDir}`))
      wrong.push(`plugin ${pid} still runs: ${words.join(' ')}`);
  }
  const children = await readFile(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8');
  if (children.trim() !== '') wrong.push(`the daemon has children: ${children.trim()}`);
  return wrong;
}

/**
 * Checks that descriptors and memory are within their limits, that no Engine call is in progress, that logs are complete,
 * and that no CRI call took too long.
 */
export async function daemonIsWrong(world: World, ledger: Ledger): Promise<string[]> {
  const { daemon, node } = world;
  const wrong: string[] = [];
  const descriptors = (await readdir(`/proc/${daemon.pid}/fd`)).length;
  const most = DESCRIPTORS.atRest + DESCRIPTORS.each * (ledger.live.size + ledger.liveContainers.size);
  if (descriptors > most) wrong.push(`the daemon holds ${descriptors} descriptors, more than ${most}`);
  const [, resident = '0'] = (await readFile(`/proc/${daemon.pid}/statm`, 'utf8')).split(' ');
  const memory = Number(resident) * 4096;
  if (memory > MOST_MEMORY) wrong.push(`the daemon uses ${memory >> 20} MiB of memory`);
  world.tell(`the daemon holds ${descriptors} descriptors and ${memory >> 20} MiB`);
  world.mostMemory = Math.max(world.mostMemory, memory);
  world.mostDescriptors = Math.max(world.mostDescriptors, descriptors);
  const metrics = await metricsOf(join(node.runDir, 'metrics.sock'));
  for (const [series, value] of metrics) {
    if (series.startsWith('dockbridge_engine_calls_in_flight{') && value !== 0)
      wrong.push(`an Engine call is under way at rest: ${series}`);
    // Here, containers never write so much that the Engine's spool discards output before it was copied.
    if (series === 'dockbridge_log_gaps_total' && value !== 0) wrong.push(`${value} gaps in logs`);
    if (series === 'dockbridge_log_lag_bytes' && value !== 0)
      wrong.push(`${value} bytes of logs were not copied`);
    const long = /^dockbridge_cri_call_duration_seconds_count\{method="(.*)"\}$/.exec(series);
    const method = long?.[1] ?? 'GetContainerEvents';
    const inTime = metrics.get(
      `dockbridge_cri_call_duration_seconds_bucket{le="${LONGEST_CALL_S}",method="${method}"}`,
    );
    if (method !== 'GetContainerEvents' && inTime !== value)
      wrong.push(`${value - (inTime ?? 0)} calls of ${method} took longer than ${LONGEST_CALL_S} s`);
  }
  return wrong;
}

async function metricsOf(socketPath: string): Promise<ReadonlyMap<string, number>> {
  const call = request({ socketPath, path: '/metrics' });
  call.end();
  const [reply] = (await once(call, 'response')) as [IncomingMessage];
  const lines = (await text(reply)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}
