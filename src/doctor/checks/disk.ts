import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { isLocalEndpoint } from '../../docker/transport';
import { waitAtMost } from '../../lib/async/deadline';
import { DiskLooks } from '../../node/disk/disk-looks';
import { messageOf } from '../../lib/errors';
import { findImageDirectory } from '../../node/disk/file-systems';
import { toFacts } from '../../translate/shared/engine-facts';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';
import type { Sources } from '../sources';

const run = promisify(execFile);
const POD_LOGS = '/var/log/pods';
/** kubelet evicts pods where images have less than 15 % left, and other disks less than 10 %, or 5 % of their inodes. */
const WARN_PERCENT = 15;
const FAIL_PERCENT = 5;
const GIB = 2 ** 30;
/** To find the directory of containerd's store, at the price of one thread where its disk hangs. */
const THREADS = 1;
const LOOK_MS = 2_000;

export interface DiskFacts {
  readonly path: string;
  /** Why it is not known; '' when it is. */
  readonly problem: string;
  readonly freeBytes: number;
  readonly freePercent: number;
  /** 100 where a file system has no fixed number. */
  readonly freeInodesPercent: number;
}

/** Whether there is room for images, layers, logs and positions. */
export const disk: Check = {
  id: 'disk',
  run: async (sources) => {
    const lookAt = (path: string): Promise<DiskFacts> => look(path, sources.answerMs);
    const own = [...new Set([sources.settings.stateDir, POD_LOGS])];
    // An Engine that does not answer keeps the others from nothing.
    const [engines, others] = await Promise.all([
      engineDirectories(sources).then((paths) => Promise.all(paths.map(lookAt))),
      Promise.all(own.map(lookAt)),
    ]);
    return judgeDisks([...engines, ...others]);
  },
};

/** None where the Engine is elsewhere or does not say; its own line tells. */
async function engineDirectories({ settings, version, info }: Sources): Promise<string[]> {
  if (!isLocalEndpoint(settings.dockerEndpoint)) return [];
  try {
    const facts = toFacts(await version(), (await info()).answer);
    if (!facts.containerdStore) return [facts.rootDir];
    return [facts.rootDir, await findImageDirectory(facts, new DiskLooks(THREADS, LOOK_MS))];
  } catch {
    return [];
  }
}

/** In a process of its own: statfs of a dead network disk never returns, and would keep one of our threads. */
async function look(path: string, answerMs: number): Promise<DiskFacts> {
  const nothing = { path, freeBytes: 0, freePercent: 0, freeInodesPercent: 0 };
  const end = performance.now() + answerMs;
  for (let place = path; ; place = dirname(place)) {
    try {
      const limitMs = Math.max(1, Math.round(end - performance.now()));
      const options = {
        timeout: limitMs,
        killSignal: 'SIGKILL',
        env: { ...process.env, LC_ALL: 'C' },
      } as const;
      const work = run('stat', ['-f', '-c', '%a %b %S %c %d', place], options);
      // No signal ends one that waits for a dead disk.
      const { stdout } = await waitAtMost(`A look at ${place}`, limitMs, work);
      const [free = 0, all = 0, blockSize = 0, inodes = 0, freeInodes = 0] = stdout
        .trim()
        .split(' ')
        .map(Number);
      return {
        ...{ path, problem: '', freeBytes: free * blockSize },
        freePercent: all === 0 ? 100 : (free / all) * 100,
        freeInodesPercent: inodes === 0 ? 100 : (freeInodes / inodes) * 100,
      };
    } catch (error) {
      const why = messageOf(error);
      // What is not there yet will be made on the disk of the directory above.
      if (!why.includes('No such file') || place === '/') return { ...nothing, problem: why };
    }
  }
}

export function judgeDisks(disks: readonly DiskFacts[]): readonly Finding[] {
  const findings = disks.flatMap(judgeDisk);
  if (findings.length > 0) return findings;
  return [ok(disks.map(({ path, freePercent }) => `${path} ${Math.floor(freePercent)} % free`).join(', '))];
}

function judgeDisk({ path, problem, freeBytes, freePercent, freeInodesPercent }: DiskFacts): Finding[] {
  if (problem !== '')
    return [
      fail(
        `${path} cannot be looked at: ${problem}`,
        'Is its disk mounted, and does it answer? Look at dmesg.',
      ),
    ];
  const cure = `docker system df says what the Engine keeps; crictl rmi --prune frees unused images; du -xsh ${path}/* finds the rest.`;
  const space = `${path}: ${Math.floor(freePercent)} % (${(freeBytes / GIB).toFixed(1)} GiB) and ${Math.floor(freeInodesPercent)} % of the inodes are free`;
  const least = Math.min(freePercent, freeInodesPercent * (WARN_PERCENT / 10));
  if (least < FAIL_PERCENT) return [fail(`${space}: pods fail to start, and kubelet evicts them`, cure)];
  if (least < WARN_PERCENT) return [warn(`${space}: kubelet will evict pods soon`, cure)];
  return [];
}
