import type Long from 'long';
import type { cri, Decoded } from '../../src/proto';
import { ContainerState, NamespaceMode } from '../../src/proto/enums';
import type { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  output,
  startedContainer,
  startPodTest,
  stateOf,
  untilExited,
} from './support/pods';

const { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED } = ContainerState;
const UNKNOWN = 'e'.repeat(64);

describe('a container', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  const start = (container_id: string): Promise<unknown> =>
    test.client.call('StartContainer', { container_id });
  const stop = (container_id: string, timeout: number): Promise<unknown> =>
    test.client.call('StopContainer', { container_id, timeout });
  const remove = (container_id: string): Promise<unknown> =>
    test.client.call('RemoveContainer', { container_id });
  /** A container that ignores SIGTERM from the start: PID 1 of its own namespace, without a handler. */
  const stubborn = (name: string): cri.IContainerConfig =>
    containerConfig(name, 'while :; do sleep 1; done', {
      linux: { security_context: { namespace_options: { pid: NamespaceMode.CONTAINER } } },
    });

  it('goes from created through running to exited, with times in order', async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const id = await createContainer(test, pod, containerConfig('life', FOREVER));
    const created = await containerStatus(test, id);
    expect(created).toMatchObject({ state: CONTAINER_CREATED, exit_code: 0, reason: '', message: '' });
    expect([created.started_at, created.finished_at].map(String)).toEqual(['0', '0']);
    await start(id);
    const running = await containerStatus(test, id);
    expect(running).toMatchObject({ state: CONTAINER_RUNNING, exit_code: 0, reason: '' });
    expect(String(running.finished_at)).toBe('0');
    await stop(id, 10);
    const exited = await containerStatus(test, id);
    expect(exited.state).toBe(CONTAINER_EXITED);
    const now = BigInt(Date.now() + 1) * 1_000_000n;
    // A millisecond for the resolution of the clock.
    expectOrder(before - 1_000_000n, created.created_at, now);
    expectOrder(before - 1_000_000n, exited.created_at, exited.started_at, exited.finished_at, now);
    expect(String(exited.started_at)).toBe(String(running.started_at));
  });

  it.each([
    { exit_code: 0, reason: 'Completed' },
    { exit_code: 1, reason: 'Error' },
    { exit_code: 255, reason: 'Error' },
  ])('that exits with $exit_code is reported as $reason', async ({ exit_code, reason }) => {
    const id = await startedContainer(test, pod, containerConfig(`exit-${exit_code}`, `exit ${exit_code}`));
    await untilExited(test, id);
    const status = await containerStatus(test, id);
    expect(status).toMatchObject({ state: CONTAINER_EXITED, exit_code, reason, message: '' });
    expectOrder(0n, status.created_at, status.started_at, status.finished_at);
  });

  it('is reported completely, with more data when verbose', async () => {
    const labels = { a: 'b', 'annotation.x': 'label' };
    const annotations = { 'io.kubernetes.container.hash': '1a', multi: 'line\none' };
    const config = containerConfig('full', FOREVER, { labels, annotations });
    const image = { ...config.image, user_specified_image: 'busybox:latest', annotations: { k: 'v' } };
    const id = await startedContainer(test, pod, { ...config, image });
    const { image: known } = await test.client.call('ImageStatus', { image: { image: image.image! } });
    const status = await containerStatus(test, id);
    expect(status).toMatchObject({
      id,
      metadata: { name: 'full', attempt: 0 },
      image: { image: 'busybox:latest', user_specified_image: 'busybox:latest', annotations: { k: 'v' } },
      image_id: known!.id,
      labels,
      annotations,
    });
    expect(status.image_ref).not.toBe('');
    expect(status.log_path).toMatch(/^\/.*\/full\.log$/);
    const { info } = await test.client.call('ContainerStatus', { container_id: id, verbose: true });
    expect(JSON.parse(info.info ?? '')).toMatchObject({ sandboxID: pod, engineState: 'running' });
  });

  describe('after a start', () => {
    it('refuses another start, whether it runs or has ended', async () => {
      const id = await startedContainer(test, pod, containerConfig('twice', FOREVER));
      await expectFailure(start(id), 'FAILED_PRECONDITION', /already been started/);
      expect(await stateOf(test, id)).toBe(CONTAINER_RUNNING);
      await stop(id, 10);
      await expectFailure(start(id), 'FAILED_PRECONDITION', /already been started/);
      await expectFailure(start(UNKNOWN), 'NOT_FOUND', UNKNOWN);
    });

    it('is started once by several simultaneous calls', async () => {
      const id = await createContainer(test, pod, containerConfig('race', FOREVER));
      const results = await Promise.allSettled([start(id), start(id), start(id)]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    });

    it.each([
      { name: 'absent', command: '/no/such/program', why: 'command not found: "/no/such/program"' },
      { name: 'absent from PATH', command: 'no-such', why: 'command not found: "no-such"' },
      { name: 'no program', command: '/etc/passwd', why: 'permission denied: "/etc/passwd"' },
    ])('has a status that says why a command that is $name cannot run', async ({ name, command, why }) => {
      const config = containerConfig(name.replaceAll(' ', '-'), '', { command: [command] });
      const id = await createContainer(test, pod, config);
      await expectFailure(start(id), 'FAILED_PRECONDITION', why);
      const check = async (): Promise<void> => {
        const status = await containerStatus(test, id);
        expect(status).toMatchObject({
          state: CONTAINER_EXITED,
          reason: 'StartError',
          message: expect.stringContaining(why) as string,
          exit_code: 128,
        });
        expect(status.created_at.greaterThan(0)).toBe(true);
        expect([status.started_at, status.finished_at].map(String)).toEqual(
          Array(2).fill(String(status.created_at)),
        );
      };
      await check();
      await expectFailure(start(id), 'FAILED_PRECONDITION');
      await test.restart();
      await check();
      await remove(id);
    });
  });

  describe('after a repeated create call', () => {
    it('is the same container while it has not been started', async () => {
      const config = containerConfig('again', FOREVER);
      const ids = await Promise.all([1, 2, 3].map(() => createContainer(test, pod, config)));
      expect(new Set(ids).size).toBe(1);
      expect(await createContainer(test, pod, config)).toBe(ids[0]);
      await start(ids[0]!);
      await expectFailure(createContainer(test, pod, config), 'ALREADY_EXISTS', ids[0]);
      const next = { ...config, metadata: { name: 'again', attempt: 1 } };
      expect(await createContainer(test, pod, next)).not.toBe(ids[0]);
    });

    it('is found even if the answer of the first call was lost', async () => {
      const config = containerConfig('lost', FOREVER);
      const first = await createContainer(test, pod, config);
      const { name, body } = await recipeOf(first);
      await remove(first);
      const left = await createOnEngine(name, body);
      expect(await createContainer(test, pod, config)).toBe(left);
      await start(left);
      expect(await stateOf(test, left)).toBe(CONTAINER_RUNNING);
    });

    it('gets another name if a foreign container has its name, and is found again under that name', async () => {
      const config = containerConfig('guest', FOREVER);
      const first = await createContainer(test, pod, config);
      const { name, body } = await recipeOf(first);
      await remove(first);
      const stranger = await createOnEngine(name, { Image: body.Image });
      try {
        const id = await createContainer(test, pod, config);
        expect(id).not.toBe(stranger);
        expect(await createContainer(test, pod, config)).toBe(id);
        await test.restart();
        expect(await createContainer(test, pod, config)).toBe(id);
        expect(await containerStatus(test, id)).toMatchObject({ metadata: { name: 'guest' } });
      } finally {
        await engineCall(sharedDockerHost(), 'DELETE', `/containers/${stranger}`);
      }
    });
  });

  describe('after a stop call', () => {
    it('has its grace period to end by itself', async () => {
      const script = 'trap "sleep 1; exit 5" TERM; touch /ready; while :; do sleep 0.1; done';
      const id = await startedContainer(test, pod, containerConfig('graceful', script));
      await output(test, id, 'until [ -e /ready ]; do :; done');
      await stop(id, 20);
      expect(await containerStatus(test, id)).toMatchObject({ state: CONTAINER_EXITED, exit_code: 5 });
    });

    it('is killed after its timeout, not before', async () => {
      const id = await startedContainer(test, pod, stubborn('stubborn'));
      const began = Date.now();
      await stop(id, 2);
      const took = Date.now() - began;
      expect(took).toBeGreaterThanOrEqual(1900);
      expect(took).toBeLessThan(6000);
      expect(await containerStatus(test, id)).toMatchObject({
        state: CONTAINER_EXITED,
        exit_code: 137,
        reason: 'Error',
      });
    });

    it('is killed at once with a timeout of 0', async () => {
      const id = await startedContainer(test, pod, stubborn('at-once'));
      const began = Date.now();
      await stop(id, 0);
      expect(Date.now() - began).toBeLessThan(1900);
      expect(await containerStatus(test, id)).toMatchObject({ state: CONTAINER_EXITED, exit_code: 137 });
    });

    it('accepts simultaneous and repeated stop calls, and a call before its start or for an unknown id', async () => {
      const id = await startedContainer(test, pod, stubborn('several'));
      await Promise.all([stop(id, 1), stop(id, 1), stop(id, 1)]);
      expect(await stateOf(test, id)).toBe(CONTAINER_EXITED);
      await stop(id, 5);
      const created = await createContainer(test, pod, containerConfig('not-started', FOREVER));
      await stop(created, 5);
      expect(await stateOf(test, created)).toBe(CONTAINER_CREATED);
      await stop(UNKNOWN, 5);
      await expectFailure(stop('', 5), 'INVALID_ARGUMENT', /container_id/);
      await expectFailure(stop(id, -1), 'INVALID_ARGUMENT', /timeout/);
    });
  });

  describe('after a remove call', () => {
    it('is gone whether it was running, exited or created, and can be removed again', async () => {
      const ids = await Promise.all([
        startedContainer(test, pod, stubborn('r')),
        startedContainer(test, pod, containerConfig('e', 'true')),
        createContainer(test, pod, containerConfig('c', FOREVER)),
      ]);
      for (const id of ids) {
        await Promise.all([remove(id), remove(id)]);
        await expectFailure(containerStatus(test, id), 'NOT_FOUND', id);
        expect((await test.client.call('ListContainers', { filter: { id } })).containers).toEqual([]);
        await remove(id);
      }
      await remove(UNKNOWN);
      await expectFailure(containerStatus(test, UNKNOWN), 'NOT_FOUND', UNKNOWN);
      await expectFailure(remove(''), 'INVALID_ARGUMENT', /container_id/);
    });

    it('makes room for another container of the same name and attempt', async () => {
      const config = containerConfig('phoenix', 'exit 3');
      const id = await startedContainer(test, pod, config);
      await untilExited(test, id);
      await remove(id);
      expect(await startedContainer(test, pod, config)).not.toBe(id);
    });
  });

  it('has the same status before and after a restart of the daemon', async () => {
    const config = containerConfig('record', 'exit 4', {
      labels: { l: '1' },
      annotations: { a: '2' },
      envs: [{ key: 'A', value: Buffer.from('b') }],
      mounts: [{ container_path: '/m', host_path: '/tmp', readonly: true }],
      tty: true,
      linux: {
        resources: {
          cpu_shares: 512,
          cpu_quota: 50_000,
          cpu_period: 100_000,
          memory_limit_in_bytes: 64 << 20,
        },
        security_context: { run_as_user: { value: 1000 } },
      },
    });
    const id = await createContainer(test, pod, config);
    const compare = async (): Promise<void> => {
      const list = async (): Promise<Decoded<cri.IContainer>> =>
        (await test.client.call('ListContainers', { filter: { id } })).containers[0]!;
      const before = { status: await containerStatus(test, id), item: await list() };
      await test.restart();
      await test.synced();
      const after = { status: await containerStatus(test, id), item: await list() };
      const { created_at, finished_at, ...rest } = before.status;
      const later = after.status;
      expect({ ...later, created_at: 0, finished_at: 0 }).toEqual({ ...rest, created_at: 0, finished_at: 0 });
      expect({ ...after.item, created_at: 0 }).toEqual({ ...before.item, created_at: 0 });
      // dockbridge records its own time of a create, and the event's time of a death. Both are a little
      // later than the Engine's.
      expectSameSecond(later.created_at, created_at);
      expectSameSecond(later.finished_at, finished_at);
      expectSameSecond(after.item.created_at, later.created_at);
    };
    await compare();
    await start(id);
    await untilExited(test, id);
    await compare();
  });
});

function expectOrder(...times: (Long | bigint)[]): void {
  const numbers = times.map((time) => BigInt(time.toString()));
  expect(numbers).toEqual([...numbers].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
}

function expectSameSecond(one: Long, other: Long): void {
  const apart = BigInt(one.toString()) - BigInt(other.toString());
  expect(Math.abs(Number(apart / 1_000_000n))).toBeLessThan(1000);
}

interface Inspect {
  Name: string;
  Config: { Image: string; Labels: Record<string, string>; Entrypoint: string[]; Cmd: string[] | null };
  HostConfig: object;
}

/** Returns the arguments with which the same container can be made by hand. */
async function recipeOf(id: string): Promise<{ name: string; body: Inspect['Config'] }> {
  const { Name, Config, HostConfig } = (await engineCall(
    sharedDockerHost(),
    'GET',
    `/containers/${id}/json`,
  )) as Inspect;
  return { name: Name.slice(1), body: { ...Config, ...{ HostConfig, Hostname: '' } } };
}

async function createOnEngine(name: string, json: object): Promise<string> {
  const path = `/containers/create?name=${name}`;
  return ((await engineCall(sharedDockerHost(), 'POST', path, { json })) as { Id: string }).Id;
}
