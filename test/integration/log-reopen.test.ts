import { lstat, readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { touchIn } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
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
  startPodTest,
  untilExited,
  untilLogged,
} from './support/pods';

/** Counts until /stop appears, and then writes end. */
const COUNT = 'i=0; until [ -e /stop ]; do i=$((i+1)); echo $i; done; echo end';

function expectCounted(texts: readonly string[]): void {
  const lines = texts.join('').split('\n').slice(0, -1);
  expect(lines.at(-1)).toBe('end');
  expect(lines.length).toBeGreaterThan(100);
  expect(lines.slice(0, -1).findIndex((line, at) => line !== String(at + 1))).toBe(-1);
}

const reopen = (test: TestDaemon, container_id: string): Promise<unknown> =>
  test.client.call('ReopenContainerLog', { container_id });
const pathOf = async (test: TestDaemon, id: string): Promise<string> =>
  (await containerStatus(test, id)).log_path;

describe('ReopenContainerLog', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  it('creates the new file, leaves the old one unchanged, and loses or repeats nothing', async () => {
    const id = await startedContainer(test, pod, containerConfig('counter', COUNT));
    const path = await pathOf(test, id);
    const rotated: string[] = [];
    for (let time = 0; time < 5; time++) {
      await output(test, id, 'sleep 0.1');
      const old = `${path}.${time}`;
      await rename(path, old);
      await reopen(test, id);
      expect((await stat(path)).isFile()).toBe(true);
      const { size } = await stat(old);
      expect(size).toBeGreaterThan(0);
      rotated.push(old);
      await output(test, id, 'sleep 0.1');
      expect((await stat(old)).size).toBe(size);
    }
    await touchIn(id, '/stop');
    await untilExited(test, id);
    expectCounted(await Promise.all([...rotated, path].map(readLogText)));
  });

  it('continues in the same file if it was not renamed, and in a new one if it is missing', async () => {
    const id = await startedContainer(test, pod, containerConfig('kept', `echo one; ${FOREVER}`));
    const path = await pathOf(test, id);
    const { ino } = await stat(path);
    await reopen(test, id);
    expect((await stat(path)).ino).toBe(ino);
    await rm(path);
    await reopen(test, id);
    expect((await stat(path)).size).toBe(0);
  });

  it('refuses an unknown container, one that does not run, and one without a log', async () => {
    await expectFailure(reopen(test, 'f'.repeat(64)), 'NOT_FOUND', 'does not exist');
    const created = await createContainer(test, pod, containerConfig('created', FOREVER));
    await expectFailure(reopen(test, created), 'FAILED_PRECONDITION', 'not running');
    const exited = await startedContainer(test, pod, containerConfig('exited', 'echo done'));
    await untilExited(test, exited);
    const path = await pathOf(test, exited);
    await rename(path, `${path}.1`);
    await expectFailure(reopen(test, exited), 'FAILED_PRECONDITION', 'not running');
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    const silent = await startedContainer(test, pod, containerConfig('silent', FOREVER, { log_path: '' }));
    await expectFailure(reopen(test, silent), 'FAILED_PRECONDITION', 'log_path');
  });

  it('works for a terminal, all of whose output is stdout', async () => {
    const script = 'echo one; echo two >&2; until [ -e /go ]; do sleep 0.01; done; echo three';
    const id = await startedContainer(test, pod, containerConfig('terminal', script, { tty: true }));
    const path = await pathOf(test, id);
    await untilLogged(path, 'two');
    await rename(path, `${path}.1`);
    await reopen(test, id);
    await touchIn(id, '/go');
    await untilExited(test, id);
    const content = (await readFile(`${path}.1`, 'utf8')) + (await readFile(path, 'utf8'));
    expect(content.split('\n').map((line) => line.split(' ').slice(1))).toEqual([
      ['stdout', 'F', 'one\r'],
      ['stdout', 'F', 'two\r'],
      ['stdout', 'F', 'three\r'],
      [],
    ]);
  });
});

describe('the files around a log', () => {
  let test: TestDaemon;
  beforeAll(async () => {
    test = await TestDaemon.start();
  });
  afterAll(() => test.stop());

  it('are created again when their directory is removed while the container runs', async () => {
    const config = podConfig(test);
    const pod = await runPod(test, config);
    const script = 'echo one; until [ -e /go ]; do sleep 0.01; done; echo two';
    const id = await startedContainer(test, pod, containerConfig('homeless', script));
    await untilLogged(await pathOf(test, id), 'one');
    await rm(config.log_directory ?? '', { recursive: true });
    await touchIn(id, '/go');
    await untilExited(test, id);
    expect(await readLogText(await pathOf(test, id))).toBe('two\n');
  });

  it("are removed with the container or the sandbox if they are ours, and stay if they are kubelet's", async () => {
    const config = podConfig(test);
    const pod = await runPod(test, config);
    const id = await startedContainer(test, pod, containerConfig('short', 'echo kept'));
    await untilExited(test, id);
    const positions = join(test.directory, 'state/logs');
    expect(await readdir(positions)).toContain(`${id}.json`);
    await test.client.call('RemoveContainer', { container_id: id });
    expect(await readdir(positions)).not.toContain(`${id}.json`);
    const second = await startedContainer(test, pod, containerConfig('second', FOREVER));
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
    expect(await readdir(positions)).not.toContain(`${second}.json`);
    expect((await readdir(config.log_directory ?? '')).sort()).toEqual(['second.log', 'short.log']);
  });
});

describe('--container-logs=link', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest({ given: { 'container-logs': 'link' } }));
  });
  afterAll(() => test.stop());

  const messages = async (path: string): Promise<string> =>
    (await readFile(path, 'utf8'))
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { log: string }).log)
      .join('');

  it("links to the Engine's file, copies and truncates at rotation, and removes the link with the container", async () => {
    const script = `echo one; until [ -e /go ]; do sleep 0.01; done; echo two; ${FOREVER}`;
    const id = await startedContainer(test, pod, containerConfig('linked', script));
    const path = await pathOf(test, id);
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect(basename(await readlink(path))).toBe(`${id}-json.log`);
    await untilLogged(path, 'one');

    const old = `${path}.20260101-000000`;
    await rename(path, old);
    await reopen(test, id);
    expect((await lstat(old)).isFile()).toBe(true);
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect([await messages(old), await messages(path)]).toEqual(['one\n', '']);
    await test.restart();
    await touchIn(id, '/go');
    await untilLogged(path, 'two');
    await test.client.call('StopContainer', { container_id: id, timeout: 0 });
    expect([await messages(old), await messages(path)]).toEqual(['one\n', 'two\n']);

    await test.client.call('RemoveContainer', { container_id: id });
    expect(await readdir(dirname(path))).toEqual([basename(old)]);
  });
});
