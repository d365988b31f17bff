import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerState, NamespaceMode, PodSandboxState } from '../../src/proto/enums';
import { LINK_TIMES } from '../../src/sync/link-times';
import { TestDaemon } from './support/daemon';
import { engineGet, startPrivateEngine, TEST_IMAGE, type PrivateEngine } from './support/engine';
import { expectFailure } from './support/grpc';
import { LogWatch } from './support/log-watch';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  output,
  podConfig,
  readLogText,
  runPod,
  startedContainer,
  untilExited,
  untilStore,
} from './support/pods';

const { CONTAINER_RUNNING, CONTAINER_EXITED, CONTAINER_CREATED } = ContainerState;
/** Ends by itself on SIGTERM, with a code that nothing else produces. */
const EXITS_7 =
  "trap 'echo bye; exit 7' TERM; echo hello; touch /ready; while :; do sleep 1000 & wait $!; done";
/**
 * kubelet notices from our answers that an Engine is back. This takes less time than the next comparison of
 * the lists.
 */
const BACK_WITHIN_MS = 20_000;
/** The time limit of a read. Reads are answered from memory, but a busy machine delays them. */
const READ_MS = 10_000;
/** Far more than the 2 s after which a write is refused, and far less than an Engine call may take. */
const WRITE_MS = 30_000;
const LOST = 'Docker Engine is not available';
const IS_OLD = ['', '20.10'].includes(process.env.DOCKBRIDGE_TEST_ENGINE ?? '');

// The test starts and stops Engines, which takes a long time on a busy machine.
jest.setTimeout(300_000);

/** The limit that writes have outside tests. Many writes are refused here, and each waits this long. */
const REFUSALS = { writePatience: LINK_TIMES.writePatience };

let engine: PrivateEngine;
let engineRoot: string;
let log: LogWatch;
let test: TestDaemon;

interface Workload {
  readonly pod: string;
  readonly running: string;
  readonly exited: string;
  readonly created: string;
}

async function startWorkload(): Promise<Workload> {
  const pod = await runPod(test);
  const exited = await startedContainer(test, pod, containerConfig('exited', 'exit 3'));
  await untilExited(test, exited);
  // The container is not in the pod's PID namespace, because the end of the pause process would kill it
  // before it handles SIGTERM.
  const own = { security_context: { namespace_options: { pid: NamespaceMode.CONTAINER } } };
  const running = await startedContainer(test, pod, containerConfig('running', EXITS_7, { linux: own }));
  // The first process of a namespace gets only signals that it handles, so the test waits for its trap.
  await output(test, running, 'until [ -e /ready ]; do sleep 0.01; done');
  return {
    pod,
    exited,
    running,
    created: await createContainer(test, pod, containerConfig('created', FOREVER)),
  };
}

async function runtimeReady(): Promise<{ status: boolean; reason: string; message: string }> {
  const { status } = await test.client.call('Status', {}, READ_MS);
  const ready = status?.conditions.find(({ type }) => type === 'RuntimeReady');
  return { status: ready!.status, reason: ready!.reason, message: ready!.message };
}

/** Expects all reads to be answered from memory, without an Engine call. */
async function expectReads({ pod, running, exited, created }: Workload): Promise<void> {
  const read = test.client;
  const calls = await test.countEngineCalls(async () => {
    expect((await read.call('ListPodSandbox', {}, READ_MS)).items.map(({ id }) => id)).toEqual([pod]);
    const { containers } = await read.call('ListContainers', {}, READ_MS);
    expect(new Set(containers.map(({ id }) => id))).toEqual(new Set([running, exited, created]));
    expect((await read.call('PodSandboxStatus', { pod_sandbox_id: pod }, READ_MS)).status?.id).toBe(pod);
    const { status } = await read.call('ContainerStatus', { container_id: exited }, READ_MS);
    expect(status).toMatchObject({ state: CONTAINER_EXITED, exit_code: 3 });
    expect((await read.call('ListImages', {}, READ_MS)).images.length).toBeGreaterThan(1);
    expect((await read.call('ImageStatus', { image: { image: TEST_IMAGE } }, READ_MS)).image).not.toBeNull();
    expect((await read.call('Version', {}, READ_MS)).runtime_name).toBe('docker');
    expect((await read.call('RuntimeConfig', {}, READ_MS)).linux).not.toBeNull();
    expect((await read.call('ImageFsInfo', {}, READ_MS)).image_filesystems).toHaveLength(1);
  });
  // The link may ask for the Engine any number of times meanwhile.
  expect({ ...calls, version: 0, info: 0 }).toEqual({ version: 0, info: 0 });
}

/** Expects all writes to be refused. */
async function expectWritesRefused({ pod, running, created }: Workload): Promise<void> {
  const { client } = test;
  const image = { image: TEST_IMAGE };
  const writes = [
    client.call('RunPodSandbox', { config: podConfig(test) }, WRITE_MS),
    client.call('StopPodSandbox', { pod_sandbox_id: pod }, WRITE_MS),
    client.call('RemovePodSandbox', { pod_sandbox_id: pod }, WRITE_MS),
    client.call(
      'CreateContainer',
      { pod_sandbox_id: pod, config: containerConfig('more', FOREVER) },
      WRITE_MS,
    ),
    client.call('StartContainer', { container_id: created }, WRITE_MS),
    client.call('StopContainer', { container_id: running }, WRITE_MS),
    client.call('RemoveContainer', { container_id: created }, WRITE_MS),
    client.call('ExecSync', { container_id: running, cmd: ['true'] }, WRITE_MS),
    client.call('PullImage', { image }, WRITE_MS),
    client.call('RemoveImage', { image }, WRITE_MS),
  ];
  await Promise.all(writes.map((write) => expectFailure(write, 'UNAVAILABLE', /Docker Engine/)));
}

async function expectDown(workload: Workload): Promise<void> {
  expect(await runtimeReady()).toMatchObject({
    status: false,
    reason: 'DockerDaemonNotReady',
    message: expect.stringMatching(/Engine/) as string,
  });
  await expectReads(workload);
  await expectWritesRefused(workload);
  expect((await runtimeReady()).status).toBe(false);
}

/** Waits until the daemon has noticed that the Engine is back, and expects Status to say so. */
async function expectBack(): Promise<void> {
  await test.daemon.whenSynced(AbortSignal.timeout(BACK_WITHIN_MS));
  let ready = await runtimeReady();
  // Calls that hung with the Engine may be answered last of all, while Status reports only these.
  for (; ready.reason === 'DockerDaemonSlow'; ready = await runtimeReady()) await delay(100);
  expect(ready).toEqual({ status: true, reason: '', message: '' });
}

/** Expects the lists to contain exactly the Engine's containers, with the same states. */
async function expectStoreRight(): Promise<void> {
  const all = (await engineGet(engine.dockerHost, '/containers/json?all=1')) as {
    Id: string;
    State: string;
  }[];
  const { sandboxes, containers } = test.daemon.store;
  const ours = [...sandboxes.values(), ...containers.values()].map(({ id, state }) => `${id} ${state}`);
  expect(ours.sort()).toEqual(all.map(({ Id, State }) => `${Id} ${State}`).sort());
  for (const { id, exitCode } of containers.values()) {
    const inspect = (await engineGet(engine.dockerHost, `/containers/${id}/json`)) as {
      State: { ExitCode: number };
    };
    expect(exitCode).toBe(inspect.State.ExitCode);
  }
}

async function stopEngine(how: 'stop' | 'kill9'): Promise<void> {
  const lost = log.next(LOST);
  await engine[how]();
  await lost;
}

/** Stands for a removal while neither dockerd nor dockbridge could see it. */
async function removeBehindDockerd(id: string): Promise<void> {
  await rm(join(engineRoot, 'containers', id), { recursive: true });
}

async function prepare(name: string, dockerd: string[], times: object = {}): Promise<void> {
  engine = await startPrivateEngine(name, { dockerd });
  engineRoot = ((await engineGet(engine.dockerHost, '/info')) as { DockerRootDir: string }).DockerRootDir;
  log = new LogWatch();
  const linkTimes = { ...REFUSALS, ...times };
  test = await TestDaemon.start({ dockerHost: engine.dockerHost, logger: log.logger, linkTimes });
  await test.synced();
}

async function cleanUp(): Promise<void> {
  try {
    await test.stop();
  } finally {
    await engine.destroy();
  }
}

async function removePods(): Promise<void> {
  const { items } = await test.client.call('ListPodSandbox', {});
  for (const { id } of items) await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
}

describe('a daemon on an Engine that ends its containers with itself', () => {
  beforeAll(() => prepare('outage', []));
  afterAll(cleanUp);
  afterEach(removePods);

  it.each([1, 2])(
    'answers reads and refuses writes while the Engine is stopped, and then catches up (time %i)',
    async () => {
      const workload = await startWorkload();
      await stopEngine('stop');
      await expectDown(workload);
      await removeBehindDockerd(workload.created);
      await engine.start();
      await expectBack();
      await expectStoreRight();
      expect(await containerStatus(test, workload.running)).toMatchObject({
        state: CONTAINER_EXITED,
        exit_code: 7,
        reason: 'Error',
      });
      expect(await readLogText((await containerStatus(test, workload.running)).log_path)).toBe(
        'hello\nbye\n',
      );
      expect(await containerStatus(test, workload.exited)).toMatchObject({
        state: CONTAINER_EXITED,
        exit_code: 3,
      });
      await expectFailure(
        test.client.call('ContainerStatus', { container_id: workload.created }),
        'NOT_FOUND',
      );
      const { status } = await test.client.call('PodSandboxStatus', { pod_sandbox_id: workload.pod });
      expect(status?.state).toBe(PodSandboxState.SANDBOX_NOTREADY);
      // The node works: a new pod starts, and its events arrive.
      const fresh = await startedContainer(test, await runPod(test), containerConfig('fresh', 'exit 5'));
      await untilExited(test, fresh);
      expect((await containerStatus(test, fresh)).exit_code).toBe(5);
    },
  );

  it.each([1, 2])(
    'reports containers that died with a killed Engine as EXITED when the Engine is back (time %i)',
    async () => {
      const workload = await startWorkload();
      await stopEngine('kill9');
      await expectDown(workload);
      // The daemon cannot know more while the Engine is down.
      expect((await containerStatus(test, workload.running)).state).toBe(CONTAINER_RUNNING);
      await engine.start();
      await expectBack();
      await expectStoreRight();
      const status = await containerStatus(test, workload.running);
      expect(status.state).toBe(CONTAINER_EXITED);
      expect(status.exit_code).not.toBe(0);
      expect(status.finished_at.greaterThan(status.started_at)).toBe(true);
      expect((await containerStatus(test, workload.created)).state).toBe(CONTAINER_CREATED);
    },
  );

  it('fails an interrupted write with UNAVAILABLE when the Engine dies, not after its time limit', async () => {
    const { running } = await startWorkload();
    const before = test.engineCalls.length;
    const exec = test.client.call('ExecSync', { container_id: running, cmd: ['sleep', '1000'] });
    const refused = expectFailure(exec, 'UNAVAILABLE');
    await untilEngineCalled('startExec', before);
    await stopEngine('kill9');
    await refused;
    await engine.start();
    await expectBack();
  });
});

async function untilEngineCalled(operation: string, from: number): Promise<void> {
  // Instrumented calls are reported when they have ended. No event reports that to a test, so it checks
  // after each turn.
  while (!test.engineCalls.slice(from).some((call) => call.operation === operation))
    await new Promise<void>((resolve) => setImmediate(resolve));
}

describe('a daemon on an Engine with --live-restore', () => {
  beforeAll(() => prepare('outage-live', ['--live-restore']));
  afterAll(cleanUp);
  afterEach(removePods);

  it.each(['stop', 'kill9'] as const)(
    'reports running containers as RUNNING although the Engine ends (%s) and starts again, twice',
    async (how) => {
      const workload = await startWorkload();
      const states = new Set<string>();
      const unsubscribe = test.daemon.store.containers.subscribe((now) => {
        if (now?.id === workload.running) states.add(now.state);
      });
      const before = await containerStatus(test, workload.running);
      for (let time = 0; time < 2; time++) {
        await stopEngine(how);
        await expectDown(workload);
        await engine.start();
        await expectBack();
        await expectStoreRight();
        expect(await containerStatus(test, workload.running)).toEqual(before);
      }
      unsubscribe();
      expect([...states]).toEqual(['running']);
      // The daemon notices the end of the container as usual.
      await test.client.call('StopContainer', { container_id: workload.running, timeout: 20 });
      expect(await containerStatus(test, workload.running)).toMatchObject({
        state: CONTAINER_EXITED,
        exit_code: 7,
      });
    },
  );

  it('reports a container that was killed during the outage as EXITED, with its code', async () => {
    const { running } = await startWorkload();
    const { pid } = test.daemon.store.containers.get(running)!;
    await stopEngine('kill9');
    process.kill(pid, 'SIGKILL');
    await engine.start();
    await expectBack();
    await expectStoreRight();
    const { state, exit_code } = await containerStatus(test, running);
    expect(state).toBe(CONTAINER_EXITED);
    // containerd 2, which dies with its dockerd, has then forgotten the containers that ended meanwhile, so
    // the Engine reports 255.
    expect(IS_OLD ? [137] : [137, 255]).toContain(exit_code);
  });
});

describe('an Engine that hangs', () => {
  beforeAll(() => prepare('outage-hang', [], { heartbeat: 200, probeTimeout: 500 }));
  afterAll(cleanUp);
  afterEach(removePods);

  it.each([1, 2])(
    'is noticed by the heartbeat, and needs no restart to be used again (time %i)',
    async () => {
      const workload = await startWorkload();
      const lost = log.next(LOST);
      await engine.suspend();
      try {
        // This call comes before the daemon notices. It is accepted, and ends once the Engine continues.
        const early = test.client.call('StartContainer', { container_id: workload.created });
        early.catch(() => undefined);
        expect((await lost).fields.reason).toMatch(/Docker Engine ping took longer than 500 ms/);
        await expectDown(workload);
        await engine.resume();
        await expectBack();
        await early;
      } finally {
        await engine.resume();
      }
      await untilStore(test, () => test.daemon.store.containers.get(workload.created)?.state === 'running');
      await expectStoreRight();
    },
  );
});

describe('a daemon that starts before the Engine', () => {
  beforeAll(() => prepare('outage-late', ['--live-restore']));
  afterAll(cleanUp);
  afterEach(removePods);

  it.each([1, 2])(
    'says so in Status, refuses lists instead of returning empty ones, and catches up (time %i)',
    async () => {
      const workload = await startWorkload();
      await stopEngine('stop');
      await test.relaunch();
      expect(await runtimeReady()).toMatchObject({
        status: false,
        reason: 'DockerDaemonNotReady',
        message: expect.stringMatching(/Engine/) as string,
      });
      const { client } = test;
      const container_id = workload.running;
      const reads = [
        client.call('ListPodSandbox', {}, WRITE_MS),
        client.call('ListContainers', {}, WRITE_MS),
        client.call('ListImages', {}, WRITE_MS),
        client.call('PodSandboxStatus', { pod_sandbox_id: workload.pod }, WRITE_MS),
        client.call('ContainerStatus', { container_id }, WRITE_MS),
        client.call('ImageStatus', { image: { image: TEST_IMAGE } }, WRITE_MS),
        client.call('ImageFsInfo', {}, WRITE_MS),
        client.call('Version', {}, WRITE_MS),
      ];
      await Promise.all(reads.map((read) => expectFailure(read, 'UNAVAILABLE', /Docker Engine/)));
      await expectWritesRefused(workload);
      await engine.start();
      await expectBack();
      await expectReads(workload);
      await expectStoreRight();
      expect((await containerStatus(test, container_id)).state).toBe(CONTAINER_RUNNING);
    },
  );

  it('returns a complete first list to a client that asks all the time while the Engine starts', async () => {
    const workload = await startWorkload();
    await stopEngine('stop');
    await test.relaunch();
    const started = engine.start();
    for (;;) {
      const listed = await test.client.call('ListContainers', {}).catch(() => undefined);
      if (listed === undefined) continue;
      expect(listed.containers).toHaveLength(3);
      break;
    }
    await started;
    expect((await containerStatus(test, workload.running)).state).toBe(CONTAINER_RUNNING);
  });
});
