import { readdir, readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import type { cri } from '../../src/proto';
import { forEachLimited } from '../../src/lib/async/concurrency';
import { NamespaceMode } from '../../src/proto/enums';
import { execOverSpdy, SpdyClient, upgradeToSpdy } from '../fakes/streaming-client';
import { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  exec,
  output,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
  untilExited,
} from './support/pods';

const MEBIBYTE = 1024 * 1024;
const SUCCESS = { metadata: {}, status: 'Success' };

let test: TestDaemon;
let pod: string;
let main: string;

beforeAll(async () => {
  test = await TestDaemon.start();
  pod = await runPod(test);
  main = await startedContainer(test, pod, containerConfig('main', 'exec httpd -f -p 8080 -h /www'));
});
afterAll(() => test.stop());

async function execUrl(script: string, more: cri.IExecRequest = {}): Promise<string> {
  const wanted = { stdout: true, stdin: false, stderr: false, tty: false, ...more };
  const cmd = ['/bin/sh', '-c', script];
  return (await test.client.call('Exec', { container_id: main, cmd, ...wanted })).url;
}

async function forwardUrl(pod_sandbox_id: string): Promise<string> {
  return (await test.client.call('PortForward', { pod_sandbox_id, port: [] })).url;
}

/** Polls in each turn of the event loop, because no event reports a change outside this process. */
async function until(
  condition: () => Promise<boolean> | boolean,
  limitMs: number,
  what: string | (() => string),
): Promise<void> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > limitMs) {
      throw new Error(`not within ${limitMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Counts the open descriptors, timers and children of this process, in which the daemon runs too. */
async function holdings(): Promise<{ descriptors: number; timers: number; children: number }> {
  const resources = process.getActiveResourcesInfo();
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  return {
    descriptors: (await readdir('/proc/self/fd')).length,
    timers: resources.filter((name) => name === 'Timeout').length,
    children: children.split(' ').filter((pid) => pid !== '').length,
  };
}

describe('tokens', () => {
  it('in absolute URLs on loopback lead to 404 if they are wrong, belong to another call, or were used before', async () => {
    const url = await execUrl('true');
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/exec\/[\w-]{22}$/);
    const wrong = url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    expect(await upgradeToSpdy(wrong, 'v4.channel.k8s.io')).toMatchObject({ status: 404 });
    expect(await upgradeToSpdy(url.replace('/exec/', '/attach/'), 'v4.channel.k8s.io')).toMatchObject({
      status: 404,
    });
    const once = await execUrl('true');
    const session = await execOverSpdy(once);
    expect(JSON.parse(await text(session.error))).toEqual(SUCCESS);
    session.client.close();
    expect(await upgradeToSpdy(once, 'v4.channel.k8s.io')).toMatchObject({ status: 404 });
  });

  it('are refused for a client without a known protocol, which gets the list of known ones if it offered any', async () => {
    expect(await upgradeToSpdy(await execUrl('true'), 'v9.channel.k8s.io')).toMatchObject({
      status: 403,
      headers: {
        'x-accepted-stream-protocol-versions': expect.stringContaining('v4.channel.k8s.io') as string,
      },
    });
    expect(await upgradeToSpdy(await execUrl('true'))).toMatchObject({ status: 400 });
  });
});

describe('Exec, Attach and PortForward', () => {
  it('make no Engine call', async () => {
    const calls = await test.countEngineCalls(async () => {
      await execUrl('true');
      await forwardUrl(pod);
      await test.client.call('Attach', { container_id: main, stdout: true });
    });
    expect(calls).toEqual({});
  });

  it('refuse invalid requests', async () => {
    const call = (more: cri.IExecRequest): Promise<unknown> =>
      test.client.call('Exec', { container_id: main, cmd: ['true'], ...more });
    await expectFailure(call({}), 'INVALID_ARGUMENT');
    await expectFailure(call({ tty: true, stdout: true, stderr: true }), 'INVALID_ARGUMENT');
    await expectFailure(call({ stdout: true, cmd: [] }), 'INVALID_ARGUMENT', /^cmd/);
    await expectFailure(call({ stdout: true, container_id: 'f'.repeat(64) }), 'NOT_FOUND');
  });

  it('return FAILED_PRECONDITION for a stopped container', async () => {
    const container_id = await startedContainer(test, pod, containerConfig('ended', 'true'));
    await untilExited(test, container_id);
    const calls = [
      test.client.call('Exec', { container_id, cmd: ['true'], stdout: true }),
      test.client.call('Attach', { container_id, stdout: true }),
    ];
    await Promise.all(calls.map((call) => expectFailure(call, 'FAILED_PRECONDITION', /not running/)));
  });
});

describe('a client that leaves', () => {
  it('ends its command with all children', async () => {
    const { client, stdout } = await execOverSpdy(
      await execUrl('sleep 4321 & setsid sleep 4322 & echo started; wait'),
    );
    await new Promise((resolve) => stdout.once('data', resolve));
    expect((await output(test, main, 'pgrep sleep | wc -l')).trim()).toBe('2');
    client.close();
    await until(
      async () => (await exec(test, main, 'pgrep sleep')).stdout === '',
      5_000,
      'sleeps end with their client',
    );
  });

  it('is noticed even if its command reads no input, so that nothing can be read from the client', async () => {
    const session = await execOverSpdy(await execUrl('echo up; exec sleep 4323', { stdin: true }), [
      'stdin',
      'stdout',
    ]);
    await new Promise((resolve) => session.stdout.once('data', resolve));
    // The data is more than all buffers on the way hold.
    session.stdin.write(Buffer.alloc(32 * MEBIBYTE));
    const socket = session.client.socket as Socket;
    await until(() => socket.writableNeedDrain, 5_000, 'all buffers on the way are full');
    // The flow stops for good, not only for a moment.
    await new Promise<void>((resolve) => {
      const watch = setInterval(() => {
        if (socket.bytesWritten !== moved) moved = socket.bytesWritten;
        else if (socket.writableNeedDrain) {
          clearInterval(watch);
          resolve();
        }
      }, 200);
      let moved = 0;
    });
    session.client.close();
    await until(
      async () => (await exec(test, main, 'pgrep sleep')).stdout === '',
      5_000,
      'the sleep ends with its client',
    );
  });
});

describe.each(['SPDY', 'WebSocket'])('a flood of output over %s that nobody reads', (wire) => {
  it('costs limited memory, disturbs nobody, and ends soon after the client leaves', async () => {
    await warmUp();
    const before = await holdings();
    const url = await execUrl('exec yes 0123456789012345678901234567890123456789');
    let leave: () => void;
    if (wire === 'SPDY') {
      // Nobody reads the stream. The memory that our own framing in the client keeps for it must be limited too.
      const session = await execOverSpdy(url);
      leave = () => session.client.close();
    } else {
      const socket = new WebSocket(url.replace('http:', 'ws:'), 'v5.channel.k8s.io');
      await new Promise((resolve) => socket.once('open', resolve));
      socket.pause();
      leave = () => socket.terminate();
    }
    const start = process.memoryUsage();
    const memory = (): number => {
      const { external, heapUsed } = process.memoryUsage();
      return external + heapUsed - start.external - start.heapUsed;
    };
    let most = 0;
    // Other sessions continue meanwhile, as many as fit into two seconds.
    const end = performance.now() + 2_000;
    while (performance.now() < end) {
      const session = await execOverSpdy(await execUrl('echo other'));
      expect(await text(session.stdout)).toBe('other\n');
      expect(await text(session.error)).toContain('Success');
      session.client.close();
      most = Math.max(most, memory());
    }
    expect(most).toBeLessThan(32 * MEBIBYTE);
    leave();
    let left = '';
    await until(
      async () => {
        const [descriptors, commands] = [(await holdings()).descriptors, await commandsIn(main, 'yes')];
        left = `${descriptors} descriptors of ${before.descriptors}, ${commands} floods`;
        return descriptors <= before.descriptors && commands === 0;
      },
      10_000,
      () => `all of the flood is freed: ${left}`,
    );
  });
});

describe('port-forward', () => {
  it('reports a port where nobody listens, and the session continues', async () => {
    const client = await SpdyClient.dial(await forwardUrl(pod), 'portforward.k8s.io');
    const refused = client.forward(8099, 0);
    const { metadata } = await sandboxStatus(test, pod);
    expect(await text(refused.error)).toMatch(
      new RegExp(
        `cannot connect to port 8099 of pod test/${metadata!.name} in the network namespace of sandbox ${pod}: ` +
          '127\\.0\\.0\\.1: connection refused \\(ECONNREFUSED\\); ::1: ',
      ),
    );
    const good = client.forward(8080, 1);
    good.data.end('GET / HTTP/1.0\r\n\r\n');
    expect(await text(good.data)).toMatch(/200 OK[^]*ok\n$/);
    expect(await text(good.error)).toBe('');
    client.close();
  });

  it('reaches listeners on ::1, and receives what they send first', async () => {
    const six = await runPod(test);
    const script = 'httpd -p [::1]:8091 -h /www; echo greeting | nc -l -p 8092; exec sleep 1000';
    const id = await startedContainer(test, six, containerConfig('six', script));
    await until(
      async () => (await output(test, id, 'netstat -ltn | grep -c 809[12]')) === '2',
      5_000,
      'both listen',
    );
    const client = await SpdyClient.dial(await forwardUrl(six), 'portforward.k8s.io');
    const [web, greeter] = [client.forward(8091, 0), client.forward(8092, 1)];
    web.data.end('GET / HTTP/1.0\r\n\r\n');
    expect(await text(web.data)).toMatch(/ok\n$/);
    greeter.data.end();
    expect(await text(greeter.data)).toBe('greeting\n');
    client.close();
  });

  it('uses one helper per pod, which ends with the pod', async () => {
    const other = await runPod(test);
    await startedContainer(test, other, containerConfig('web', 'exec httpd -f -p 8080 -h /www'));
    const before = (await holdings()).children;
    const client = await SpdyClient.dial(await forwardUrl(other), 'portforward.k8s.io');
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, id) => {
        const { data } = client.forward(8080, id);
        data.end('GET / HTTP/1.0\r\n\r\n');
        return text(data);
      }),
    );
    expect(answers.filter((answer) => !answer.endsWith('ok\n'))).toEqual([]);
    expect((await holdings()).children).toBe(before + 1);
    client.close();
    await test.client.call('StopPodSandbox', { pod_sandbox_id: other });
    await until(async () => (await holdings()).children === before, 10_000, 'the helper ends');
  });

  it("connects directly in a pod on the host's network", async () => {
    const options = { namespace_options: { network: NamespaceMode.NODE } };
    const host = await runPod(test, podConfig(test, { linux: { security_context: options } }));
    await startedContainer(test, host, {
      ...containerConfig('web', 'exec httpd -f -p 127.0.0.1:18943 -h /www'),
      linux: { security_context: options },
    });
    const before = (await holdings()).children;
    const client = await SpdyClient.dial(await forwardUrl(host), 'portforward.k8s.io');
    const { data } = client.forward(18943, 0);
    data.end('GET / HTTP/1.0\r\n\r\n');
    expect(await text(data)).toMatch(/ok\n$/);
    expect((await holdings()).children).toBe(before);
    client.close();
  });
});

/**
 * A thousand commands take half a minute, or ten minutes on a busy machine. The tests check what the
 * commands leave behind, not their speed.
 */
const LONG_MS = 900_000;

describe('many sessions', () => {
  it(
    'of Exec, 500 of them, leave nothing open',
    async () => {
      const sessions = async (count: number): Promise<void> => {
        await forEachLimited(Array.from({ length: count }), 20, async () => {
          const session = await execOverSpdy(await execUrl('exit 7'));
          expect(await text(session.error)).toContain('"message":"7"');
          session.client.close();
        });
      };
      await warmUp();
      await sessions(20);
      const before = await holdings();
      await sessions(500);
      await until(async () => !isMore(await holdings(), before), 20_000, 'all is closed');
    },
    LONG_MS,
  );

  it(
    'of ExecSync, 1000 with 50 in parallel, leave nothing open',
    async () => {
      await warmUp();
      const before = await holdings();
      await forEachLimited(Array.from({ length: 1000 }), 50, async () => {
        await test.client.call('ExecSync', { container_id: main, cmd: ['true'], timeout: 60 });
      });
      let now = before;
      await until(
        async () => !isMore((now = await holdings()), before),
        20_000,
        () => `all is closed: ${JSON.stringify({ before, now })}`,
      );
    },
    LONG_MS,
  );

  it(
    'that time out leave neither processes nor timers',
    async () => {
      await warmUp();
      const before = await holdings();
      let slowest = 0;
      await forEachLimited(Array.from({ length: 1000 }), 50, async () => {
        const start = performance.now();
        const call = test.client.call('ExecSync', { container_id: main, cmd: ['sleep', '4324'], timeout: 1 });
        await expectFailure(call, 'DEADLINE_EXCEEDED');
        slowest = Math.max(slowest, performance.now() - start);
      });
      // docs/streaming.md has this figure.
      console.log(
        `the slowest of 1000 timeouts of 1 s, 50 in parallel, was answered after ${slowest.toFixed(0)} ms`,
      );
      // A busy Engine starts some commands after their timeout, and these are killed too.
      await until(async () => (await commandsIn(main, 'sleep')) === 0, 30_000, 'all sleeps end');
      let now = before;
      await until(
        async () => !isMore((now = await holdings()), before),
        // A start that was interrupted on its way to the Engine is watched for 30 s, because it may have
        // arrived.
        40_000,
        () => `all is closed: ${JSON.stringify({ before, now })}`,
      );
    },
    LONG_MS,
  );
});

/** Opens as many connections to the Engine as the daemon keeps for later calls. */
async function warmUp(): Promise<void> {
  await forEachLimited(Array.from({ length: 50 }), 50, async () => {
    await exec(test, main, 'true');
  });
}

/**
 * The connections that the daemon keeps for its next Engine calls. Their number depends on how busy the
 * Engine was.
 */
const IDLE_CONNECTIONS = 32;

/**
 * Returns whether more is open than before. If each of hundreds of calls left something open, this would
 * show it.
 */
function isMore(now: Awaited<ReturnType<typeof holdings>>, before: typeof now): boolean {
  return (
    now.descriptors > before.descriptors + IDLE_CONNECTIONS ||
    now.timers > before.timers ||
    now.children > before.children
  );
}

/** Counts the processes of a container whose command has this name, without running a command in it. */
async function commandsIn(id: string, name: string): Promise<number> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    pids.map(async (pid) => {
      try {
        const comm = await readFile(`/proc/${pid}/comm`, 'utf8');
        return comm.trim() === name && (await readFile(`/proc/${pid}/cgroup`, 'utf8')).includes(id);
      } catch {
        return false;
      }
    }),
  );
  return found.filter(Boolean).length;
}
