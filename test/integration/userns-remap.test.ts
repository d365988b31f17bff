import { chmod, chown, mkdir, mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../src/lib/logger';
import type { cri } from '../../src/proto';
import { NamespaceMode } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { startPrivateEngine, USER_IMAGE, type PrivateEngine } from './support/engine';
import { containerConfig, FOREVER, output, podConfig, runPod, startedContainer } from './support/pods';

const { NODE } = NamespaceMode;
/** The Engine uses this user's ranges. `default` would create a user on the machine that stays. */
const OWNER = 'daemon';
const FIRST = 1_345_294_336;
const RANGE = `${OWNER}:${FIRST}:65536\n`;
const FILES = ['/etc/subuid', '/etc/subgid'];

/** The ranges as they were, without leftovers of a killed run. */
const texts = new Map<string, string | undefined>();
let engine: PrivateEngine | undefined;
let test: TestDaemon;
let directory: string;
const warnings: string[] = [];

beforeAll(async () => {
  for (const file of FILES) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    texts.set(file, text?.replaceAll(RANGE, ''));
    await writeFile(file, `${RANGE}${texts.get(file) ?? ''}`);
  }
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-userns-'));
  await chmod(directory, 0o755);
  engine = await startPrivateEngine('userns', { config: { 'userns-remap': OWNER } });
  const logger = { ...silentLogger, warn: (text: string) => void warnings.push(text) };
  test = await TestDaemon.start({ dockerHost: engine.dockerHost, logger });
  // The first pod of an Engine also waits for the pause image.
  await runPod(test);
}, 180_000);
afterAll(async () => {
  try {
    if (engine !== undefined) await test.stop();
  } finally {
    await engine?.destroy();
    await rm(directory, { recursive: true });
    for (const [file, text] of texts)
      await (text === undefined ? rm(file, { force: true }) : writeFile(file, text));
  }
}, 180_000);

async function running(
  context: cri.ILinuxSandboxSecurityContext = {},
  more: cri.IContainerConfig = {},
): Promise<string> {
  const pod = await runPod(test, podConfig(test, { linux: { security_context: context } }));
  const { privileged = false, namespace_options = null } = context;
  const linux = { security_context: { privileged, namespace_options } };
  return startedContainer(test, pod, containerConfig('main', FOREVER, { linux, ...more }));
}

const see = (id: string, script: string): Promise<string> => output(test, id, script);

describe('an Engine with userns-remap', () => {
  it('runs a pod with the users of the node, which CRI requires for a pod without a user namespace', async () => {
    const id = await running();
    expect((await see(id, 'cat /proc/self/uid_map')).split(/\s+/).filter(Boolean)).toEqual([
      '0',
      '0',
      '4294967295',
    ]);
  });

  it('lets a pod share network, PIDs and IPC with the node', async () => {
    const id = await running({ namespace_options: { network: NODE, pid: NODE, ipc: NODE } });
    for (const kind of ['net', 'pid', 'ipc'])
      expect(await see(id, `readlink /proc/self/ns/${kind}`)).toBe(await readlink(`/proc/self/ns/${kind}`));
  });

  it('lets a privileged container do what the node’s root may do', async () => {
    const id = await running({ privileged: true });
    expect(await see(id, 'mkdir /m && mount -t tmpfs none /m && echo mounted')).toBe('mounted');
  });

  it('leaves the owners of files in volumes unchanged', async () => {
    const volume = join(directory, 'volume');
    await mkdir(volume, { mode: 0o700 });
    const mounts = [{ host_path: volume, container_path: '/volume' }];
    const id = await running({}, { mounts });
    await see(id, 'echo root >/volume/root');
    expect(await stat(join(volume, 'root'))).toMatchObject({ uid: 0, gid: 0 });
    await chown(volume, 1000, 1000);
    const user = await running({}, { image: { image: USER_IMAGE }, mounts });
    await see(user, 'echo user >/volume/user');
    expect(await stat(join(volume, 'user'))).toMatchObject({ uid: 1000, gid: 1000 });
  });

  it('keeps image files owned by the remapped users, which dockbridge warns of', async () => {
    const id = await running();
    expect(await see(id, 'stat -c %u:%g /bin/busybox')).toBe(`${FIRST}:${FIRST}`);
    expect(warnings.filter((text) => text.startsWith('Docker Engine uses userns-remap'))).toHaveLength(1);
  });
});
