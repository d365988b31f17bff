import { execFile } from 'node:child_process';
import { watch } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { isLocalEndpoint } from '../../docker/transport';
import { waitAtMost } from '../../lib/async/deadline';
import { errnoOf, messageOf } from '../../lib/errors';
import { DiskLooks } from '../../node/disk/disk-looks';
import { findImageDirectory } from '../../node/disk/file-systems';
import { readText } from '../../node/disk/files';
import { ENOUGH_FILES, fileLimit } from '../../node/file-limit';
import { hasProgram } from '../../node/programs';
import { toFacts } from '../../translate/shared/engine-facts';
import type { Check, Sources } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** Checks whether the doctor runs as root. Otherwise it cannot read everything. */
export const rights: Check = {
  id: 'rights',
  run: () => Promise.resolve([judgeRights(process.geteuid?.() ?? 0)]),
};

export function judgeRights(user: number): Finding {
  if (user === 0) return ok('the doctor runs as root');
  return warn(
    `the doctor runs as user ${user}: sockets and files of kubelet and the Engine may be closed to it`,
    'Run it as root.',
  );
}

interface Need {
  readonly program: string;
  /** What does not work without the program. */
  readonly purpose: string;
  /** The name of the Debian package that contains the program. */
  readonly package: string;
  readonly level: 'fail' | 'warn';
}

/** The programs that dockbridge executes, except CNI plugins. */
const NEEDS: readonly Need[] = [
  { program: 'mount', purpose: 'pods on a CNI network', package: 'mount', level: 'fail' },
  { program: 'umount', purpose: 'the end of pods on a CNI network', package: 'mount', level: 'fail' },
  { program: 'flock', purpose: 'pods on a CNI network', package: 'util-linux', level: 'fail' },
  { program: 'nsenter', purpose: 'port-forward', package: 'util-linux', level: 'fail' },
  { program: 'tar', purpose: 'CheckpointContainer', package: 'tar', level: 'warn' },
];

const NOTIFY: Need = {
  program: 'systemd-notify',
  purpose: 'reporting readiness to systemd',
  package: 'systemd',
  level: 'warn',
};

/** Checks whether the programs that dockbridge executes are on this node. */
export const programs: Check = {
  id: 'programs',
  run: async () => {
    const isSystemd = await access('/run/systemd/system').then(
      () => true,
      () => false,
    );
    const needs = [...NEEDS, ...(isSystemd ? [NOTIFY] : [])];
    const there = await Promise.all(needs.map(({ program }) => hasProgram(program, process.env.PATH)));
    return judgePrograms(
      needs.map(({ program }) => program),
      needs.filter((_, at) => there[at] !== true).map(({ program }) => program),
    );
  },
};

export function judgePrograms(needed: readonly string[], missing: readonly string[]): readonly Finding[] {
  if (missing.length === 0) return [ok(needed.join(', '))];
  return [...NEEDS, NOTIFY]
    .filter(({ program }) => missing.includes(program))
    .map(({ program, purpose, package: name, level }) =>
      (level === 'fail' ? fail : warn)(
        `${program} is missing: ${purpose} needs it`,
        `apt install ${name}, or the package with this program in your distribution.`,
      ),
    );
}

/** The share of the limit above which calls are about to fail. */
const FILES_FULL = 0.9;

export interface OpenFilesFacts {
  /** Undefined when no dockbridge is running. The limit is then the doctor's own. */
  readonly pid: number | undefined;
  readonly limit: number;
  /** Undefined when the number cannot be read. */
  readonly open: number | undefined;
}

/** Checks whether dockbridge may open as many files as a node full of containers needs. */
export const openFiles: Check = {
  id: 'open-files',
  run: async ({ daemon }) => {
    const pid = daemon?.pid;
    const process = `/proc/${pid ?? 'self'}`;
    const open = await readdir(`${process}/fd`).catch(() => undefined);
    return [judgeOpenFiles({ pid, limit: fileLimit(`${process}/limits`), open: open?.length })];
  },
};

export function judgeOpenFiles({ pid, limit, open }: OpenFilesFacts): Finding {
  const whose =
    pid === undefined ? 'no dockbridge is running; started from this shell, it' : `process ${pid}`;
  const cure =
    "Set LimitNOFILE=1048576 in the [Service] section of dockbridge's unit, then: systemctl daemon-reload, systemctl restart dockbridge";
  if (pid !== undefined && open !== undefined && open > limit * FILES_FULL)
    return fail(`${whose} has ${open} of ${limit} files open: calls and logs are about to fail`, cure);
  if (limit < ENOUGH_FILES)
    return warn(
      `${whose} may open ${limit} files, fewer than ${ENOUGH_FILES}: calls and logs will fail with many containers`,
      cure,
    );
  const now = pid === undefined || open === undefined ? '' : `, and has ${open} open`;
  return ok(`${whose} may open ${Number.isFinite(limit) ? limit : 'any number of'} files${now}`);
}

/** The kernel's own defaults. On a node with lower values, somebody must have lowered them. */
const FEW_INSTANCES = 128;
const FEW_WATCHES = 8192;
const INOTIFY_CURE =
  'In /etc/sysctl.d/90-inotify.conf: fs.inotify.max_user_instances = 8192 and fs.inotify.max_user_watches = 524288, then: sysctl --system';

export interface InotifyFacts {
  /** The limits of each user; undefined when the kernel does not report them. */
  readonly instances: number | undefined;
  readonly watches: number | undefined;
  /** The errno of an attempt to make one more instance and watch; '' when the attempt succeeded. */
  readonly refused: string;
}

/** Checks whether this user can watch one more directory. dockbridge watches directories for each log and for CNI. */
export const inotify: Check = {
  id: 'inotify',
  run: async () => {
    const limit = async (name: string): Promise<number | undefined> => {
      const text = await readText(`/proc/sys/fs/inotify/${name}`);
      return text === undefined ? undefined : Number(text);
    };
    const [instances, watches] = await Promise.all([limit('max_user_instances'), limit('max_user_watches')]);
    return [judgeInotify({ instances, watches, refused: tryToWatch() })];
  },
};

function tryToWatch(): string {
  try {
    watch('/', { persistent: false }).close();
    return '';
  } catch (error) {
    return errnoOf(error) ?? 'unknown error';
  }
}

export function judgeInotify({ instances, watches, refused }: InotifyFacts): Finding {
  const limits = `max_user_instances ${instances ?? 'unknown'}, max_user_watches ${watches ?? 'unknown'}`;
  if (refused !== '')
    return fail(
      `no more directories can be watched (${refused}; ${limits}): dockbridge checks logs and CNI's configuration only from time to time, and kubelet may not start`,
      INOTIFY_CURE,
    );
  if ((instances ?? Infinity) < FEW_INSTANCES || (watches ?? Infinity) < FEW_WATCHES)
    return warn(`only a few directories can be watched: ${limits}`, INOTIFY_CURE);
  return ok(`directories can be watched: ${limits}`);
}

const run = promisify(execFile);
const POD_LOGS = '/var/log/pods';
/**
 * kubelet's thresholds in percent. It evicts pods when the disk of the images has less than 15 % left, or another disk less
 * than 10 %, or a disk less than 5 % of its inodes.
 */
const DISK_WARN_PERCENT = 15;
const DISK_FAIL_PERCENT = 5;
const GIB = 2 ** 30;
/** The number of threads that look for the directory of containerd's store. A thread is lost if that disk hangs. */
const THREADS = 1;
const LOOK_MS = 2_000;

export interface DiskFacts {
  readonly path: string;
  /** The reason why the disk could not be measured; '' when it was measured. */
  readonly problem: string;
  readonly freeBytes: number;
  readonly freePercent: number;
  /** Free inodes in percent; 100 when the file system has no fixed number of inodes. */
  readonly freeInodesPercent: number;
}

/** Checks whether there is room for images, layers, logs and positions. */
export const disk: Check = {
  id: 'disk',
  run: async (sources) => {
    const lookAt = (path: string): Promise<DiskFacts> => look(path, sources.answerMs);
    const own = [...new Set([sources.settings.stateDir, POD_LOGS])];
    // If the Engine does not answer, the other paths are still measured.
    const [engines, others] = await Promise.all([
      engineDirectories(sources).then((paths) => Promise.all(paths.map(lookAt))),
      Promise.all(own.map(lookAt)),
    ]);
    return judgeDisks([...engines, ...others]);
  },
};

/** @returns no paths when the Engine is remote or does not answer. The report has a line of its own for this. */
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

/** Runs `stat` as a process, because statfs on a dead network disk never returns and would occupy one of our threads. */
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
      // The process is abandoned, because no signal ends a process that waits for a dead disk.
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
      const why = reasonOf(error);
      // A directory that does not exist yet will be on the same disk as its parent.
      if (!why.includes('No such file') || place === '/') return { ...nothing, problem: why };
    }
  }
}

/** Returns what `stat` printed in one line, or else why it gave no answer. */
function reasonOf(error: unknown): string {
  const { stderr = '' } = error as { stderr?: string };
  return stderr.trim() === '' ? messageOf(error) : stderr.trim();
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
        `${path} cannot be examined: ${problem}`,
        'Is its disk mounted, and does it answer? Look at dmesg.',
      ),
    ];
  const cure = `docker system df shows the Engine's usage; crictl rmi --prune removes unused images; du -xsh ${path}/* finds other large directories.`;
  const space = `${path}: ${Math.floor(freePercent)} % (${(freeBytes / GIB).toFixed(1)} GiB) and ${Math.floor(freeInodesPercent)} % of the inodes are free`;
  const least = Math.min(freePercent, freeInodesPercent * (DISK_WARN_PERCENT / 10));
  if (least < DISK_FAIL_PERCENT) return [fail(`${space}: pods fail to start, and kubelet evicts them`, cure)];
  if (least < DISK_WARN_PERCENT) return [warn(`${space}: kubelet will evict pods soon`, cure)];
  return [];
}
