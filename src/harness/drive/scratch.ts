import { access, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { invalidArgument } from '../../lib/errors';

/** What a pod of kubelet needs to find really, and what no container can spoil by being there: the kernel's, and certificates. */
const REAL = [
  ...['/dev', '/proc', '/sys', '/lib/modules', '/usr/lib/modules', '/etc/localtime', '/usr/share/zoneinfo'],
  ...['/etc/ssl/certs', '/etc/pki', '/etc/ca-certificates', '/usr/share/ca-certificates'],
  '/usr/local/share/ca-certificates',
];
/** Files that kubelet mounts into containers, by where they are there. */
const FILES_INSIDE = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev/termination-log'];
/** kubelet's place for termination messages, if a container has it elsewhere: `…/containers/NAME/1a2b3c4d`. */
const TERMINATION = /\/containers\/[^/]+\/[0-9a-f]{8}$/;
const FILE_NAME = /\.(conf|cfg|json|ya?ml|toml|crt|pem|key|sock|lock|txt|env|ini|sh|token)$/;

const ALL_MAY = 0o777;
const ALL_MAY_FILE = 0o666;

/** A directory that stands for the host's file system in the requests of a replay, and is removed with all in it. */
export class Scratch {
  private constructor(readonly root: string) {}

  /** @param parent where it is made; the system's temporary directory by default. @throws INVALID_ARGUMENT that names the option. */
  static async create(parent?: string): Promise<Scratch> {
    try {
      if (parent !== undefined) await mkdir(parent, { recursive: true });
      return new Scratch(await mkdtemp(join(resolve(parent ?? tmpdir()), 'dockbridge-cri-')));
    } catch (error) {
      throw invalidArgument('--scratch', error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * A directory or a file in place of what a container mounts; the path itself where it is REAL.
   * What it is on this machine decides between the two; else names do.
   */
  async mount(hostPath: string, containerPath: string): Promise<string> {
    const path = resolve('/', hostPath);
    if (REAL.some((real) => path === real || path.startsWith(`${real}/`))) return path;
    const own = join(this.root, 'mounts', path);
    if (await exists(own)) return own;
    if (await isFile(path, containerPath)) {
      await mkdir(dirname(own), { recursive: true });
      await writeFile(own, '', { mode: ALL_MAY_FILE });
    } else await mkdir(own, { recursive: true, mode: ALL_MAY });
    return own;
  }

  /** The directory in place of a pod's log directory. */
  async logDirectory(path: string): Promise<string> {
    const own = join(this.root, 'logs', resolve('/', path));
    await mkdir(own, { recursive: true });
    return own;
  }

  /** As kubelet does it before it creates a container. */
  async logPlace(logDirectory: string, logPath: string): Promise<void> {
    await mkdir(dirname(join(this.root, 'logs', resolve('/', logDirectory), resolve('/', logPath))), {
      recursive: true,
    });
  }

  /** The text with the paths that the recording has. */
  asRecorded(text: string): string {
    return text.replaceAll(`${this.root}/mounts/`, '/').replaceAll(`${this.root}/logs/`, '/');
  }

  /** @throws the system's error. */
  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
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

/** Whether a control group of this name is on this machine, in cgroup v2 or in the memory hierarchy of v1. */
export async function hasCgroup(parent: string): Promise<boolean> {
  const path = parent.endsWith('.slice') && !parent.includes('/') ? slicePath(parent) : resolve('/', parent);
  const places = ['/sys/fs/cgroup', '/sys/fs/cgroup/memory'].map((root) => join(root, path));
  return (await Promise.all(places.map(exists))).includes(true);
}

/** systemd keeps `a-b.slice` in `a.slice`. */
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
