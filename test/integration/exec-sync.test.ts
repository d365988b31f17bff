import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { Readable, type Duplex } from 'node:stream';
import { status } from '@grpc/grpc-js';
import type { DockerClient } from '../../src/docker/client';
import { NamespaceMode } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { expectFailure, RawClient } from './support/grpc';
import {
  containerConfig,
  createContainer,
  exec,
  FOREVER,
  output,
  runPod,
  startedContainer,
} from './support/pods';
import { standingIn } from './support/stand-in';

const MIB = 1024 * 1024;

describe('ExecSync', () => {
  let test: TestDaemon;
  let pod: string;
  let id: string;
  let raw: RawClient;
  beforeAll(async () => {
    test = await TestDaemon.start();
    raw = new RawClient(test.endpoint);
    pod = await runPod(test);
    // The container does not run `sleep`, so every `sleep` that the tests find belongs to an ExecSync.
    id = await startedContainer(test, pod, containerConfig('main', 'exec tail -f /dev/null'));
  });
  afterAll(async () => {
    raw.close();
    await test.stop();
  });

  const call = (cmd: string[], timeout = 0, container_id = id) =>
    test.client.call('ExecSync', { container_id, cmd, timeout });
  const sleepers = async (): Promise<string> => (await exec(test, id, 'pgrep sleep')).stdout;

  it('answers with both outputs and the exit code', async () => {
    expect(await exec(test, id, 'echo out; echo err >&2; exit 3')).toEqual({
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(await exec(test, id, 'true')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('passes arguments and bytes on unchanged', async () => {
    const { stdout } = await call(['/bin/printf', '%s|%s|', '$HOME "x"', '']);
    expect(Buffer.from(stdout).toString()).toBe('$HOME "x"||');
    const bytes = await call(['/bin/sh', '-c', "printf '\\000\\377\\r\\n'"]);
    expect([...bytes.stdout]).toEqual([0, 255, 13, 10]);
  });

  it('reports a missing command with the exit code 126 or 127', async () => {
    const { exit_code } = await call(['/no/such/program']);
    expect([126, 127]).toContain(exit_code);
  });

  it('ends promptly at the timeout, and leaves no process behind', async () => {
    const began = Date.now();
    await expectFailure(
      call(['/bin/sh', '-c', 'echo begun; sleep 987 & (sleep 986 &); sleep 985'], 1),
      'DEADLINE_EXCEEDED',
      /timed out after 1 s/,
    );
    const took = Date.now() - began;
    expect(took).toBeGreaterThanOrEqual(1000);
    expect(took).toBeLessThan(4000);
    expect(await sleepers()).toBe('');
  });

  it('accumulates no zombies in a container whose first process reaps none', async () => {
    // In a pod with a shared PID namespace, the pause process would reap zombies.
    const namespace_options = { pid: NamespaceMode.CONTAINER };
    const config = containerConfig('reapless', 'exec tail -f /dev/null', {
      linux: { security_context: { namespace_options } },
    });
    const reapless = await startedContainer(test, pod, config);
    for (let round = 0; round < 8; round++) {
      const probe = call(['/bin/sh', '-c', 'sleep 980; true'], 1, reapless);
      await expectFailure(probe, 'DEADLINE_EXCEEDED');
    }
    const states = 'cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z "';
    // Eight rounds could leave eight zombies. A busy machine's scheduler may leave a few.
    const { stdout: zombies } = await exec(test, reapless, states);
    expect(Number(zombies)).toBeLessThanOrEqual(4);
  });

  it('is not delayed by a command that ignores SIGTERM', async () => {
    await expectFailure(
      call(['/bin/sh', '-c', 'trap "" TERM HUP INT; while :; do sleep 984; done'], 1),
      'DEADLINE_EXCEEDED',
    );
    expect(await sleepers()).toBe('');
  });

  it('does not time out when the command itself has ended, whatever it left running', async () => {
    const { exit_code, stdout } = await call(['/bin/sh', '-c', 'sleep 302 & echo ok'], 1);
    expect([exit_code, Buffer.from(stdout).toString()]).toEqual([0, 'ok\n']);
    await output(test, id, 'kill $(pgrep sleep)');
  });

  it('leaves the container and other commands alone when one times out', async () => {
    const other = call(['/bin/sh', '-c', 'until [ -e /go-on ]; do :; done; echo survived'], 30);
    await expectFailure(call(['/bin/sleep', '983'], 1), 'DEADLINE_EXCEEDED');
    await output(test, id, 'touch /go-on');
    expect(Buffer.from((await other).stdout).toString()).toBe('survived\n');
  });

  it('ends the command when the client cancels', async () => {
    const request = { container_id: id, cmd: ['/bin/sh', '-c', 'touch /begun; sleep 982'] };
    const open = raw.open('ExecSync', request);
    await output(test, id, 'until [ -e /begun ]; do :; done');
    open.cancel();
    await expectFailure(open.ended, 'CANCELLED');
    expect(await output(test, id, 'while pgrep sleep >/dev/null; do :; done; echo gone')).toBe('gone');
  });

  it("ends the command when the call's own deadline passes", async () => {
    const cmd = ['/bin/sleep', '981'];
    await expectFailure(
      test.client.call('ExecSync', { container_id: id, cmd, timeout: 0 }, 1000),
      'DEADLINE_EXCEEDED',
    );
    expect(await output(test, id, 'while pgrep sleep >/dev/null; do :; done; echo gone')).toBe('gone');
  });

  it('drops output beyond 16 MiB, which no message can carry, and does not fail', async () => {
    const script = 'head -c 20000000 /dev/zero; echo done >/finished';
    const { stdout, stderr, exit_code } = await call(['/bin/sh', '-c', script], 60);
    expect(exit_code).toBe(0);
    expect(stdout.length).toBeGreaterThan(15 * MIB);
    expect(stdout.length + stderr.length).toBeLessThanOrEqual(16 * MIB);
    expect(await output(test, id, 'cat /finished')).toBe('done');
  });

  it('runs many commands at once without mixing their outputs', async () => {
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        exec(test, id, `for i in 1 2 3; do echo ${at}; done; exit ${at}`),
      ),
    );
    expect(all).toEqual(all.map((_, at) => ({ code: at, stdout: `${at}\n`.repeat(3), stderr: '' })));
  });

  it('answers when the container ends while the command runs', async () => {
    // Engine 20.10 forgets about half of such commands, and never closes their streams.
    const calls = [1, 2, 3, 4, 5, 6].map(async (at) => {
      const config = containerConfig(`short-${at}`, 'until [ -e /stop ]; do :; done');
      const short = await startedContainer(test, pod, config);
      return call(['/bin/touch', '/stop'], 0, short);
    });
    for (const result of await Promise.allSettled(calls)) {
      // The kernel kills the rest of a container whose first process ends, so a busy machine may kill `touch` before it exits.
      if (result.status === 'fulfilled') expect([0, 137]).toContain(result.value.exit_code);
      else
        expect(result.reason).toMatchObject({
          code: status.FAILED_PRECONDITION,
          details: expect.stringContaining('ended before its command could finish') as string,
        });
    }
  });

  it('refuses containers that do not run, and invalid requests', async () => {
    const created = await createContainer(test, pod, containerConfig('created', FOREVER));
    await expectFailure(call(['true'], 0, created), 'FAILED_PRECONDITION', /not running/);
    const stopped = await startedContainer(test, pod, containerConfig('stopped', FOREVER));
    await test.client.call('StopContainer', { container_id: stopped, timeout: 0 });
    await expectFailure(call(['true'], 0, stopped), 'FAILED_PRECONDITION', /not running/);
    await expectFailure(call(['true'], 0, 'd'.repeat(64)), 'NOT_FOUND');
    await expectFailure(call(['true'], 0, ''), 'INVALID_ARGUMENT', /container_id/);
    await expectFailure(call([]), 'INVALID_ARGUMENT', /cmd/);
    await expectFailure(call(['true'], -1), 'INVALID_ARGUMENT', /timeout/);
    await expectFailure(call(['a\0b']), 'INVALID_ARGUMENT', /cmd\[0\]/);
  });
});

describe('ExecSync with an Engine in trouble', () => {
  let trouble: { startExec?: DockerClient['startExec'] } = {};
  let engine: DockerClient;
  let test: TestDaemon;
  let id: string;
  beforeAll(async () => {
    test = await TestDaemon.start({
      wrapDocker: (client) => standingIn((trouble = {}))((engine = client)),
    });
    id = await startedContainer(test, await runPod(test), containerConfig('main', 'exec tail -f /dev/null'));
  });
  afterAll(() => test.stop());

  const call = (script: string, timeout = 0) =>
    test.client.call('ExecSync', { container_id: id, cmd: ['/bin/sh', '-c', script], timeout });
  const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

  it('leaves no file open, and does not wait, after a start that the Engine refuses', async () => {
    const all = Array.from({ length: 60 });
    await Promise.all(all.map(() => call('true')));
    const before = await descriptors();
    trouble.startExec = (_, options) => engine.startExec('f'.repeat(64), options);
    const began = performance.now();
    for (let refusal = 0; refusal < 20; refusal++) await expectFailure(call('true'), 'FAILED_PRECONDITION');
    // Each refusal took 2 s in an earlier version.
    expect(performance.now() - began).toBeLessThan(30_000);
    await Promise.all(all.map(() => expectFailure(call('true'), 'FAILED_PRECONDITION')));
    while ((await descriptors()) > before) await new Promise((resolve) => setImmediate(resolve));
    delete trouble.startExec;
  });

  it('fails and ends the command when the connection breaks', async () => {
    trouble.startExec = async (execId, options) => {
      const stream = await engine.startExec(execId, options);
      // This output shows that the command has begun.
      await once(stream, 'data');
      stream.destroy();
      return Readable.from([]) as Duplex;
    };
    await expectFailure(call('echo begun; sleep 303; echo ended'), 'UNAVAILABLE', /was cut/);
    delete trouble.startExec;
    expect((await exec(test, id, 'pgrep sleep')).stdout).toBe('');
  });

  it('does not time out because an Engine is slow to start a command', async () => {
    trouble.startExec = async (execId, options) => {
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      return engine.startExec(execId, options);
    };
    const { stdout } = await call('echo late', 2);
    expect(Buffer.from(stdout).toString()).toBe('late\n');
    delete trouble.startExec;
  });
});
