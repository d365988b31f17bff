import { createHash } from 'node:crypto';
import { access, chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, normalize, resolve } from 'node:path';
import { failedPrecondition, invalidArgument, messageOf } from '../../lib/errors';
import { parseMountinfo } from '../../node/mountinfo';
import { realPath, type RealPath } from './real-paths';

/** Paths in a container at which a mount is a file, even if its host path does not exist on this machine. */
const FILES_INSIDE = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev/termination-log'];
/** kubelet's host path of a termination message, `…/containers/NAME/1a2b3c4d`. A container can have this file at any path. */
const TERMINATION = /\/containers\/[^/]+\/[0-9a-f]{8}$/;
const FILE_NAME = /\.(conf|cfg|json|ya?ml|toml|crt|pem|key|sock|lock|txt|env|ini|sh|token)$/;

const ALL_MAY = 0o777;
const ALL_MAY_FILE = 0o666;
/** The length of the names of scratch files and directories, in hexadecimal digits. */
const NAME_LENGTH = 32;

/**
 * The scratch directory, whose contents replace paths of the host in the requests of a replay or scenario. Each such path gets its own file or
 * directory. None of them is inside another, because creating one inside another could follow a link that a container has made.
 */
export class Scratch {
  /** The paths that were created, by their names below the scratch directory. */
  readonly #made = new Map<string, Promise<string>>();
  /** Names below the scratch directory → the paths on the tape. */
  readonly #recorded = new Map<string, string>();

  /** Matches a path below the scratch directory, and the slash after it, if any. */
  readonly #pattern: RegExp;

  private constructor(readonly root: string) {
    const escaped = root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    this.#pattern = new RegExp(`${escaped}/((?:mounts|logs)/[0-9a-f]{${NAME_LENGTH}})(/?)`, 'g');
  }

  /** Creates the scratch directory. @param parent by default the system's temporary directory. @throws INVALID_ARGUMENT that names the option. */
  static async create(parent?: string): Promise<Scratch> {
    try {
      if (parent !== undefined) await mkdir(parent, { recursive: true });
      return new Scratch(await mkdtemp(join(resolve(parent ?? tmpdir()), 'dockbridge-cri-')));
    } catch (error) {
      throw invalidArgument('--scratch', error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * Returns the path to mount: this machine's own path (`realPath`), or an empty file or directory that replaces it. It is a file if the
   * path is a file on this machine, or if the path does not exist and its name suggests a file.
   */
  async mount(hostPath: string, containerPath: string): Promise<RealPath> {
    const real = await realPath(hostPath);
    if (real !== undefined) return real;
    const path = await this.#own('mounts', hostPath, async (own) => {
      if (await isFile(resolve('/', hostPath), containerPath)) {
        await writeFile(own, '');
        await chmod(own, ALL_MAY_FILE);
        return;
      }
      await mkdir(own);
      // The umask reduces the mode that mkdir sets, so the mode is set afterwards.
      await chmod(own, ALL_MAY);
    });
    return { path, isReadOnly: false };
  }

  /** Returns the directory that replaces a pod's log directory. */
  async logDirectory(path: string): Promise<string> {
    return this.#own('logs', path, async (own) => mkdir(own));
  }

  /**
   * Creates the directory of a log file, as kubelet does before it creates a container.
   * @throws FAILED_PRECONDITION for a path that leads out of the log directory; otherwise the system's error.
   */
  async logPlace(logDirectory: string, logPath: string): Promise<void> {
    const inside = normalize(logPath);
    if (inside === '..' || inside.startsWith('../'))
      throw failedPrecondition(`its log_path ${logPath} leads out of the log directory`);
    await mkdir(dirname(join(await this.logDirectory(logDirectory), inside)), { recursive: true });
  }

  /** Replaces scratch paths in a text with the recorded paths. */
  asRecorded(text: string): string {
    if (!text.includes(this.root)) return text;
    return text.replaceAll(this.#pattern, (all: string, name: string, slash: string) => {
      const path = this.#recorded.get(name);
      if (path === undefined) return all;
      return slash === '' ? path : `${path.replace(/\/+$/, '')}/`;
    });
  }

  /**
   * Removes the scratch directory, unless something is mounted below it, because the removal would empty the mount. Never rejects.
   * @returns what could not be removed and why, one text each.
   */
  async remove(): Promise<readonly string[]> {
    try {
      const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
      const inside = mounts.find(({ mountPoint }) => mountPoint.startsWith(`${this.root}/`));
      if (inside !== undefined) return [`the directory ${this.root}: ${inside.mountPoint} is a mount`];
      await rm(this.root, { recursive: true, force: true });
      return [];
    } catch (error) {
      return [`the directory ${this.root}: ${messageOf(error)}`];
    }
  }

  async #own(kind: string, recorded: string, make: (own: string) => Promise<void>): Promise<string> {
    const name = `${kind}/${createHash('sha256').update(recorded).digest('hex').slice(0, NAME_LENGTH)}`;
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    this.#recorded.set(name, recorded);
    const own = join(this.root, name);
    const made = mkdir(dirname(own), { recursive: true })
      .then(async () => make(own))
      .then(() => own);
    this.#made.set(name, made);
    return made;
  }
}

async function isFile(path: string, containerPath: string): Promise<boolean> {
  const real = await stat(path).catch(() => undefined);
  if (real !== undefined) return !real.isDirectory();
  return (
    FILES_INSIDE.includes(containerPath) ||
    TERMINATION.test(path) ||
    (FILE_NAME.test(basename(path)) && !basename(path).startsWith('.'))
  );
}

/** Returns whether a control group exists on this machine, in cgroup v2 or in the memory hierarchy of v1. */
export async function hasCgroup(parent: string): Promise<boolean> {
  const path = parent.endsWith('.slice') && !parent.includes('/') ? slicePath(parent) : resolve('/', parent);
  const places = ['/sys/fs/cgroup', '/sys/fs/cgroup/memory'].map((root) => join(root, path));
  return (await Promise.all(places.map(exists))).includes(true);
}

/** Returns the path of a systemd slice: systemd creates `a-b.slice` below `a.slice`. */
function slicePath(slice: string): string {
  const words = slice.slice(0, -'.slice'.length).split('-');
  return words.map((_, at) => `${words.slice(0, at + 1).join('-')}.slice`).join('/');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
