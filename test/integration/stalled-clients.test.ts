import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import type { cri } from '../../src/proto';
import { execOverSpdy } from '../fakes/streaming-client';
import { touchIn } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { containerConfig, freshConfig, runPod, startedContainer } from './support/pods';

const MEBIBYTE = 1024 * 1024;
/** More than all buffers between a container and its client hold. */
const FLOOD = 48 * MEBIBYTE;
/** Far below the Engine's own limit of 10 s for a client, and still generous for a busy machine. */
const PROMPT_MS = 8_000;

let test: TestDaemon;
let pod: string;

beforeAll(async () => {
  test = await TestDaemon.start();
  pod = await runPod(test);
});
afterAll(() => test.stop());

/** A client that reads nothing until the test says so. */
interface Stalled {
  /** Reads the rest. @returns the end of the session as its client sees it. */
  outcome(): Promise<string>;
  leave(): void;
}

type Wire = 'SPDY' | 'WebSocket';

async function stalledClient(url: string, wire: Wire): Promise<Stalled> {
  if (wire === 'SPDY') {
    const { client, error, stdout } = await execOverSpdy(url);
    client.socket.pause();
    return {
      outcome: async () => {
        stdout.resume();
        client.socket.resume();
        return text(error);
      },
      leave: () => client.close(),
    };
  }
  const socket = new WebSocket(url.replace('http:', 'ws:'), 'v5.channel.k8s.io');
  await once(socket, 'open');
  socket.pause();
  return {
    outcome: async () => {
      let said = '';
      socket.on('message', (data: Buffer) => {
        if (data[0] === 3) said += data.subarray(1).toString();
      });
      socket.resume();
      await once(socket, 'close');
      return said;
    },
    leave: () => socket.terminate(),
  };
}

async function attachUrl(container_id: string, more: cri.IAttachRequest = {}): Promise<string> {
  return (await test.client.call('Attach', { container_id, stdout: true, ...more })).url;
}

async function execUrl(container_id: string, script: string, more: cri.IExecRequest = {}): Promise<string> {
  const cmd = ['/bin/sh', '-c', script];
  return (await test.client.call('Exec', { container_id, cmd, stdout: true, ...more })).url;
}

async function untilEnded(id: string, ms = 60_000): Promise<void> {
  await test.daemon.store.containers.waitFor(id, ({ state }) => state === 'exited', AbortSignal.timeout(ms));
}

/**
 * Resolves when a container's `yes` writes no more, because it has ended or because all buffers to its
 * client are full.
 */
async function untilBlocked(container_id: string): Promise<void> {
  let before = '';
  for (;;) {
    const now = await writtenBy('yes', container_id);
    if (before !== '' && (now === before || now === '')) return;
    // The writer ended before the test could see it blocked.
    if ((await writtenBy('cat', container_id)) !== '') return;
    before = now;
    await delay(500);
  }
}

async function writtenBy(name: string, containerId: string): Promise<string> {
  for (const pid of await readdir('/proc')) {
    try {
      const comm = await readFile(`/proc/${pid}/comm`, 'utf8');
      const isIts =
        comm.trim() === name && (await readFile(`/proc/${pid}/cgroup`, 'utf8')).includes(containerId);
      if (isIts) return /wchar: \d+/.exec(await readFile(`/proc/${pid}/io`, 'utf8'))?.[0] ?? '';
    } catch {
      // The process has ended meanwhile.
    }
  }
  return '';
}

/** A command that writes until it blocks, which untilBlocked detects. */
const FLOODS = 'exec yes 0123456789012345678901234567890';

describe.each<Wire>(['SPDY', 'WebSocket'])('an attached client over %s that does not read', (wire) => {
  it('does not stop the container, and gets the reason why it was disconnected', async () => {
    const script = `until [ -e /go ]; do sleep 0.1; done; yes 0123456789012345678901234567890 | head -c ${FLOOD}; echo the end`;
    const id = await startedContainer(test, pod, freshConfig(script));
    const client = await stalledClient(await attachUrl(id), wire);
    await touchIn(id, '/go');
    await untilEnded(id);
    expect(await client.outcome()).toMatch(/"status":"Failure".*did not read/);
    client.leave();
  }, 120_000);

  it('does not delay StopContainer', async () => {
    const script = `until [ -e /go ]; do sleep 0.1; done; yes 0123456789012345678901234567890 | head -c ${FLOOD}; mkfifo /end; exec cat /end`;
    const id = await startedContainer(test, pod, freshConfig(script));
    const client = await stalledClient(await attachUrl(id), wire);
    await touchIn(id, '/go');
    // Now the Engine has data for the client that it cannot write.
    await untilBlocked(id);
    await test.client.call('StopContainer', { container_id: id, timeout: 0 });
    expect(await client.outcome()).toMatch(/"status"/);
    client.leave();
  }, 120_000);
});

describe.each<Wire>(['SPDY', 'WebSocket'])('a command whose client does not read, over %s', (wire) => {
  it('stays blocked while its container lives, and does not delay StopContainer', async () => {
    const id = await startedContainer(test, pod, freshConfig('exec tail -f /dev/null'));
    const client = await stalledClient(await execUrl(id, FLOODS), wire);
    await untilBlocked(id);
    const began = performance.now();
    await test.client.call('StopContainer', { container_id: id, timeout: 0 });
    expect(performance.now() - began).toBeLessThan(PROMPT_MS);
    expect(await client.outcome()).toMatch(/"status":"Failure"/);
  }, 120_000);

  it('does not delay the report that its container has ended by itself', async () => {
    const id = await startedContainer(test, pod, freshConfig('until [ -e /stop ]; do sleep 0.1; done'));
    const client = await stalledClient(await execUrl(id, FLOODS), wire);
    await untilBlocked(id);
    await touchIn(id, '/stop');
    const began = performance.now();
    await untilEnded(id);
    expect(performance.now() - began).toBeLessThan(PROMPT_MS);
    client.leave();
  }, 120_000);
});

describe('a container that is removed, or a pod that is stopped,', () => {
  it('ends its sessions, whatever their clients do', async () => {
    const other = await runPod(test);
    const ids = [
      await startedContainer(
        test,
        other,
        containerConfig('removed', 'seq 1 1000000; exec tail -f /dev/null'),
      ),
      await startedContainer(
        test,
        other,
        containerConfig('stopped', 'seq 1 1000000; exec tail -f /dev/null'),
      ),
    ];
    const clients = [];
    for (const id of ids) {
      clients.push(await stalledClient(await attachUrl(id), 'SPDY'));
      clients.push(await stalledClient(await execUrl(id, FLOODS), 'SPDY'));
      // The process of this session does not read its input.
      const session = await execOverSpdy(await execUrl(id, 'exec sleep 4000', { stdin: true }), [
        'stdin',
        'stdout',
      ]);
      // The server may close the connection before the streams have ended.
      for (const stream of [session.stdin, session.stdout, session.error])
        stream.on('error', () => undefined);
      session.stdin.write(Buffer.alloc(32 * MEBIBYTE));
      await untilBlocked(id);
    }
    const began = performance.now();
    await test.client.call('RemoveContainer', { container_id: ids[0]! });
    expect(performance.now() - began).toBeLessThan(PROMPT_MS);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: other });
    expect(performance.now() - began).toBeLessThan(2 * PROMPT_MS);
    for (const client of clients) expect(await client.outcome()).toMatch(/"status"/);
  }, 120_000);
});
