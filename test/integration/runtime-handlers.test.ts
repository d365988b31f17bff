import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { cri } from '../../src/proto';
import { ContainerState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { startPrivateEngine, type PrivateEngine } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  createContainer,
  exec,
  FOREVER,
  logOf,
  output,
  podConfig,
  sandboxStatus,
  startedContainer,
} from './support/pods';
import { otherRuntimes, type OtherRuntimes } from './support/runtimes';

/**
 * Engines from 25 on write an OCI version into their bundles that Debian 12's crun and runsc may not know.
 */
const WANTED = process.env.DOCKBRIDGE_TEST_ENGINE ?? '';
const IS_OLD = WANTED === '' || WANTED === '20.10';

describe('runtime handlers', () => {
  let engine: PrivateEngine;
  let test: TestDaemon;
  let directory: string;
  let runtimes: OtherRuntimes;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-runtimes-'));
    runtimes = await otherRuntimes(directory);
    const cdi = IS_OLD ? [] : ['--cdi-spec-dir', await cdiDevice(directory)];
    engine = await startPrivateEngine('runtimes', { config: runtimes.config, dockerd: cdi });
    test = await TestDaemon.start({ dockerHost: engine.dockerHost });
    await test.synced();
  });
  afterAll(async () => {
    await test.stop();
    await engine.destroy();
    await rm(directory, { recursive: true });
  });

  const runWith = async (runtime_handler: string): Promise<string> =>
    (await test.client.call('RunPodSandbox', { config: podConfig(test), runtime_handler })).pod_sandbox_id;
  const callsFor = async (id: string): Promise<string[]> =>
    (await readFile(runtimes.calls, 'utf8')).split('\n').filter((line) => line.includes(id));
  const noPodStays = async (failure: Promise<string>, why: RegExp): Promise<void> => {
    const pods = async () => (await test.client.call('ListPodSandbox', {})).items.length;
    const before = await pods();
    await expectFailure(failure, 'FAILED_PRECONDITION', why);
    expect(await pods()).toBe(before);
  };

  it('are listed in Status, the default first, each with its features', async () => {
    const { runtime_handlers } = await test.client.call('Status', {});
    const names = runtime_handlers.map(({ name }) => name);
    expect(names[0]).toBe('');
    expect(names).toEqual(expect.arrayContaining(['crun', 'runc', 'runsc']));
    const recursive = runtime_handlers
      .filter(({ features }) => features?.recursive_read_only_mounts === true)
      .map(({ name }) => name);
    expect(recursive).toEqual(IS_OLD ? [] : ['', 'io.containerd.runc.v2', 'runc']);
    expect(runtime_handlers.some(({ features }) => features?.user_namespaces === true)).toBe(false);
  });

  it('run a pod and its containers with crun, or leave no pod behind if crun does not know the OCI version', async () => {
    if (!IS_OLD) {
      await noPodStays(runWith('crun'), /^OCI runtime create failed: unknown version specified/);
      return;
    }
    const pod = await runWith('crun');
    expect((await sandboxStatus(test, pod)).runtime_handler).toBe('crun');
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER, limited(64)));
    for (const made of [pod, id])
      expect((await callsFor(made)).some((call) => /^crun .*\bcreate\b/.test(call))).toBe(true);
    expect(await output(test, id, 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes')).toBe(String(64 << 20));
    expect((await exec(test, id, 'exit 7')).code).toBe(7);
    expect((await logOf(test, pod, containerConfig('says', 'echo from crun'))).text).toBe('from crun\n');
    await test.client.call('StopContainer', { container_id: id, timeout: 10 });
    expect(await containerStatus(test, id)).toMatchObject({ exit_code: 143, reason: 'Error' });
    const container_id = await createContainer(test, pod, {
      ...containerConfig('absent', ''),
      command: ['no-such'],
    });
    await expectFailure(
      test.client.call('StartContainer', { container_id }),
      'FAILED_PRECONDITION',
      /^command not found: "no-such"/,
    );
    expect(await containerStatus(test, container_id)).toMatchObject({
      state: ContainerState.CONTAINER_EXITED,
      reason: 'StartError',
    });
  });

  it("run a pod and its containers in gVisor's kernel", async () => {
    const pod = await runWith('runsc');
    expect((await sandboxStatus(test, pod)).runtime_handler).toBe('runsc');
    const { id, text } = await logOf(test, pod, containerConfig('says', 'dmesg | head -1; uname -r'));
    expect(text).toMatch(/Starting gVisor\.\.\.\n4\.4\.0\n$/);
    expect((await callsFor(id)).some((call) => /^runsc .*\bcreate\b/.test(call))).toBe(true);
    const running = await startedContainer(test, pod, containerConfig('main', FOREVER));
    expect(await output(test, running, 'uname -r')).toBe('4.4.0');
    // Each container has a kernel of its own, even if the pod shares namespaces (docs/runtimes.md).
    const alone = containerConfig('alone', 'grep -lx sleep /proc/[0-9]*/comm | wc -l');
    expect((await logOf(test, pod, alone)).text).toBe('0\n');
  });

  it('may be names of shims on Engines that look for them', async () => {
    const failure = runWith('io.containerd.absent.v1');
    if (IS_OLD) await expectFailure(failure, 'INVALID_ARGUMENT', /runtime_handler.*Docker Engine 23\.0/);
    else await noPodStays(failure, /^runtime "io\.containerd\.absent\.v1" is not installed.*shim-absent-v1/);
    const pod = await runWith('io.containerd.runc.v2');
    expect((await sandboxStatus(test, pod)).runtime_handler).toBe('io.containerd.runc.v2');
  });

  it('must be known', async () => {
    await expectFailure(runWith('kata'), 'INVALID_ARGUMENT', /^runtime_handler: "kata".*crun.*daemon\.json/);
  });

  it('pass CDI devices on if the Engine has the feature, and refuse them otherwise', async () => {
    const pod = await runWith('');
    const withDevice = (name: string): cri.IContainerConfig =>
      containerConfig('cdi', 'test -c /dev/thing && echo $THING', { CDI_devices: [{ name }] });
    const failure = createContainer(test, pod, withDevice('nameless'));
    await expectFailure(failure, 'INVALID_ARGUMENT', /CDI_devices\[0\]\.name/);
    if (IS_OLD) {
      await expectFailure(
        createContainer(test, pod, withDevice('dockbridge.test/thing=a')),
        'UNIMPLEMENTED',
        /^config\.CDI_devices\[0\]\.name: .*25\.0.*"cdi": true/,
      );
      return;
    }
    expect((await logOf(test, pod, withDevice('dockbridge.test/thing=a'))).text).toBe('a\n');
    const container_id = await createContainer(test, pod, {
      ...withDevice('dockbridge.test/thing=b'),
      metadata: { name: 'unknown' },
    });
    await expectFailure(
      test.client.call('StartContainer', { container_id }),
      'FAILED_PRECONDITION',
      /^CDI device unknown: .*dockbridge\.test\/thing=b/,
    );
  });
});

function limited(mebibytes: number): cri.IContainerConfig {
  return { linux: { resources: { memory_limit_in_bytes: mebibytes << 20 } } };
}

/** Writes a CDI specification with one device; returns its directory. */
async function cdiDevice(directory: string): Promise<string> {
  const edits = { env: ['THING=a'], deviceNodes: [{ path: '/dev/thing', hostPath: '/dev/null' }] };
  const kind = 'dockbridge.test/thing';
  const spec = { cdiVersion: '0.5.0', kind, devices: [{ name: 'a', containerEdits: edits }] };
  await writeFile(join(directory, 'thing.json'), JSON.stringify(spec));
  return directory;
}
