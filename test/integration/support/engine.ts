import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const scripts = join(__dirname, '../../../scripts');
const engineRoot = process.env.DOCKBRIDGE_ENGINE_ROOT ?? '/var/tmp';

/** The dynamic busybox, `CMD sh`. Its applets are hard links, and /www/index.html contains `ok`. */
export const TEST_IMAGE = 'dockbridge.test/busybox:1';
/** The same image with `USER 1000:1000` and /marker. */
export const USER_IMAGE = 'dockbridge.test/user:1';

/** True if the Engines' daemon.json contradicts CRI wherever possible (scripts/daemon-json.mjs). */
export const IS_HOSTILE = process.env.DOCKBRIDGE_TEST_HOSTILE === '1';

/** An Engine of a test's own next to the shared one, which the test may kill and restart. */
export interface PrivateEngine {
  /** unix:///…/docker.sock; the same after a restart. */
  readonly dockerHost: string;
  /** Ends dockerd as `systemctl stop docker` does. Containers that ignore SIGTERM take 10 s. Data stays. */
  stop(): Promise<void>;
  /** Starts dockerd again after stop() or kill9(), and resolves when it answers. */
  start(): Promise<void>;
  /** Sends SIGKILL to dockerd. Its containers live on until start(). */
  kill9(): Promise<void>;
  /** Sends SIGSTOP: the kernel accepts connections, but nobody answers. */
  suspend(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Adds keys to the first daemon.json and makes dockerd read it again (SIGHUP). Resolves before dockerd
   * has read the file.
   */
  reload(config: DaemonJson): Promise<void>;
  /** Ends dockerd in any state and removes everything that it left. */
  destroy(): Promise<void>;
}

/** Keys of daemon.json. `runtimes` are added to those that scripts/daemon-json.mjs writes. */
export interface DaemonJson {
  readonly runtimes?: Readonly<Record<string, { readonly path: string }>>;
  readonly [key: string]: unknown;
}

export interface PrivateEngineOptions {
  /** More options for dockerd, e.g. `--live-restore`. */
  dockerd?: readonly string[];
  /** Keys of its daemon.json, in addition to those that scripts/daemon-json.mjs gives every Engine. */
  config?: DaemonJson;
  /**
   * Uses every default of dockerd that contradicts CRI, as all Engines do under DOCKBRIDGE_TEST_HOSTILE=1.
   */
  hostile?: boolean;
  /** Loads the test images (2 s); default true. */
  images?: boolean;
}

/** The time limit for the start or end of an Engine on a busy machine, where others start and end first. */
const SCRIPT_MS = 600_000;

/** Runs scripts/engine.sh. Rejects with the script's error output in the message. */
async function engineScript(
  command: string,
  name: string,
  more: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const { stdout } = await run('bash', [join(scripts, 'engine.sh'), command, '--name', name, ...more], {
    timeout: SCRIPT_MS,
    env,
  });
  return stdout.trim();
}

/** Starts an Engine and returns its address. If this process dies, the next start of an Engine removes it. */
export async function startEngine(
  name: string,
  { dockerd = [], config, hostile = false }: PrivateEngineOptions = {},
): Promise<string> {
  const reply = await engineScript('start', name, ['--owner', String(process.pid), '--', ...dockerd], {
    ...process.env,
    ...(config === undefined ? {} : { DOCKBRIDGE_TEST_DAEMON_JSON: JSON.stringify(config) }),
    ...(hostile ? { DOCKBRIDGE_TEST_HOSTILE: '1' } : {}),
  });
  return reply.replace(/^DOCKER_HOST=/, '');
}

export async function destroyEngine(name: string): Promise<void> {
  await engineScript('stop', name);
}

export async function loadTestImages(dockerHost: string): Promise<void> {
  await run('bash', [join(scripts, 'test-images.sh')], {
    env: { ...process.env, DOCKER_HOST: dockerHost },
    timeout: 120_000,
  });
}

/** The address of the Engine that global-setup.ts started for all tests. */
export function sharedDockerHost(): string {
  const host = process.env.DOCKBRIDGE_TEST_DOCKER_HOST;
  if (host === undefined)
    throw new Error('DOCKBRIDGE_TEST_DOCKER_HOST is unset: not run by the integration project?');
  return host;
}

/**
 * Starts an Engine of the test's own. The test must call destroy() at its end.
 * @param name a-z, 0-9 and `-`, at most 20 characters.
 */
export async function startPrivateEngine(
  name: string,
  options: PrivateEngineOptions = {},
): Promise<PrivateEngine> {
  const unique = `${name}-${process.pid}`;
  const dockerHost = await startEngine(unique, options);
  const daemonJson = join(engineDirectory(unique), 'daemon.json');
  const first = JSON.parse(await readFile(daemonJson, 'utf8')) as DaemonJson;
  const script = async (command: string): Promise<void> => {
    await engineScript(command, unique);
  };
  const signal = async (what: NodeJS.Signals): Promise<number> => {
    const recorded = await readFile(join(engineDirectory(unique), 'state/dockerd'), 'utf8');
    const pid = Number(recorded.split(' ')[0]);
    process.kill(pid, what);
    return pid;
  };
  const engine: PrivateEngine = {
    dockerHost,
    stop: () => script('halt'),
    start: () => script('relaunch'),
    kill9: async () => waitForEnd(await signal('SIGKILL')),
    suspend: async () => {
      await signal('SIGSTOP');
    },
    resume: async () => {
      await signal('SIGCONT');
    },
    reload: async (config) => {
      const runtimes = { ...first.runtimes, ...config.runtimes };
      await writeFile(daemonJson, JSON.stringify({ ...first, ...config, runtimes }));
      await signal('SIGHUP');
    },
    destroy: () => destroyEngine(unique),
  };
  try {
    if (options.images ?? true) await loadTestImages(dockerHost);
  } catch (error) {
    await engine.destroy();
    throw error;
  }
  return engine;
}

export function engineDirectory(name: string): string {
  return join(engineRoot, `dockbridge-engine-${name}`);
}

/**
 * Makes one GET call of the Engine API and decodes the answer. Rejects on any status but 200, and after 10
 * s.
 */
export async function engineGet(dockerHost: string, path: string): Promise<unknown> {
  return engineCall(dockerHost, 'GET', path);
}

export interface EngineCallBody {
  readonly json?: unknown;
  readonly tar?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Makes one call of the Engine API, as `docker` would, and decodes the answer if it is one JSON value.
 * Rejects on a status of 400 and more, and after 30 s without an answer.
 */
export async function engineCall(
  dockerHost: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  { json, tar, headers = {} }: EngineCallBody = {},
): Promise<unknown> {
  const url = new URL(dockerHost.replace(/^tcp:/, 'http:'));
  const target =
    url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: url.port };
  const body = json === undefined ? tar : Buffer.from(JSON.stringify(json));
  const type = json === undefined ? 'application/x-tar' : 'application/json';
  return new Promise((resolve, reject) => {
    const all = { ...headers, ...(body === undefined ? {} : { 'Content-Type': type }) };
    const call = request({ ...target, path, method, headers: all, timeout: 30_000 }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (chunk: string) => (text += chunk));
      reply.on('error', reject);
      reply.on('end', () => {
        // A push or import that fails half-way still answers 200.
        if ((reply.statusCode ?? 0) < 400 && !text.includes('errorDetail')) resolve(decode(text));
        else reject(new Error(`${method} ${path}: ${reply.statusCode ?? 0} ${text}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer`)));
    call.on('error', reject);
    call.end(body);
  });
}

/** Returns the body of a GET unchanged. */
export async function engineBytes(dockerHost: string, path: string): Promise<Buffer> {
  const { pathname: socketPath } = new URL(dockerHost);
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: 30_000 }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      reply.on('end', () => resolve(Buffer.concat(chunks)));
    });
    call.on('timeout', () => call.destroy(new Error(`GET ${path}: no answer`)));
    call.on('error', reject);
    call.end();
  });
}

/** Decodes one JSON value. Progress has one value per line; nobody needs it here, so it stays text. */
function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Returns the names of containers and networks that tests left on an Engine. */
export async function engineLeftovers(dockerHost: string): Promise<string[]> {
  const containers = (await engineGet(dockerHost, '/containers/json?all=1')) as { Names: string[] }[];
  const networks = (await engineGet(dockerHost, '/networks')) as { Name: string }[];
  return [
    ...containers.map((container) => `container ${container.Names.join(' ')}`),
    ...networks
      .filter(({ Name }) => !['bridge', 'host', 'none'].includes(Name))
      .map(({ Name }) => `network ${Name}`),
  ];
}

/** Returns the processes and mounts of the Engine called `name`. */
export async function engineTraces(name: string): Promise<string[]> {
  const directory = `${engineDirectory(name)}/`;
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const processes = await listProcesses();
  return [
    ...mounts
      .split('\n')
      .filter((line) => line.includes(` ${directory}`))
      .map((line) => `mount ${line.split(' ')[4] ?? line}`),
    ...processes
      .filter(
        ({ comm, args }) => /^(dockerd|containerd|docker-proxy|runc)/.test(comm) && args.includes(directory),
      )
      .map(({ pid, args }) => `process ${pid} ${args}`),
  ];
}

/** Returns Docker's network interfaces and cgroups. Nothing says to which Engine they belong. */
export async function machineTraces(): Promise<string[]> {
  // This does not read /sys/class/net, which shows the links of the namespace in which it was mounted.
  const devices = await readFile('/proc/self/net/dev', 'utf8');
  const links = [...devices.matchAll(/^ *([^\s:]+):/gm)]
    .map(([, link = '']) => link)
    .filter((link) => /^(docker0$|br-|dbe-|veth)/.test(link));
  const hierarchies = await readdir('/sys/fs/cgroup', { withFileTypes: true });
  const groups = await Promise.all(
    hierarchies
      .filter((entry) => entry.isDirectory())
      .map(async ({ name: hierarchy }) =>
        (await readdir(join('/sys/fs/cgroup', hierarchy)).catch(() => []))
          .filter((group) => /^(docker|kubepods)/.test(group))
          .map((group) => `cgroup ${hierarchy}/${group}`),
      ),
  );
  return [...links.map((link) => `interface ${link}`), ...groups.flat()];
}

/** Returns whether any dockerd runs on the machine. */
export async function engineRuns(): Promise<boolean> {
  return (await listProcesses()).some(({ comm }) => comm === 'dockerd');
}

interface Process {
  readonly pid: number;
  readonly comm: string;
  readonly args: string;
}

/** Zombies have no command line and are left out, because PID 1 reaps them at some later time. */
async function listProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    pids.map(async (pid) => {
      try {
        const comm = await readFile(`/proc/${pid}/comm`, 'utf8');
        const args = await readFile(`/proc/${pid}/cmdline`, 'utf8');
        return { pid: Number(pid), comm: comm.trim(), args: args.replaceAll('\0', ' ').trim() };
      } catch {
        return undefined;
      }
    }),
  );
  return found.filter((entry) => entry !== undefined).filter(({ args }) => args !== '');
}

/** Waits by polling, because the kernel reports only the end of our own children. */
async function waitForEnd(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while ((await listProcesses()).some((entry) => entry.pid === pid)) {
    if (Date.now() > deadline) throw new Error(`process ${pid} does not end`);
    await delay(10);
  }
}
