import { serveLogWorker, type WorkerCall, type WorkerMessage } from '../../../src/logs/worker-entry';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { WorkMarker } from '../../../src/logs/hang-watch';
import type { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom } from './support/log-room';

/** The id of a container whose log is not followed. */
const NOBODY = 'c2';

describe("the worker's side of the log worker", () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  let port: MessagePort;
  let received: WorkerMessage[];
  let closed: Promise<void>;
  beforeEach(() => {
    room = new LogRoom();
    docker = room.docker();
    received = [];
  });
  afterEach(async () => {
    port.close();
    await closed;
    await room.dispose();
  });

  function serve(over: { resume?: boolean; setAside?: string[] } = {}): void {
    const channel = new MessageChannel();
    port = channel.port2;
    const { memory } = new WorkMarker();
    serveLogWorker(channel.port1, {
      stateDir: room.stateDir,
      resume: false,
      setAside: [],
      marker: memory,
      ...over,
    });
    closed = new Promise((resolve) => channel.port1.once('close', resolve));
  }

  let lastId = 0;
  /** Returns the reply to a call, and keeps earlier messages in `received`. */
  function ask(call: WorkerCall): Promise<WorkerMessage> {
    const id = ++lastId;
    return new Promise((resolve) => {
      const onMessage = (message: WorkerMessage): void => {
        received.push(message);
        if (!('id' in message) || message.id !== id) return;
        port.off('message', onMessage);
        resolve(message);
      };
      port.on('message', onMessage);
      port.postMessage({ id, call });
    });
  }
  const reply = (more: object = { answer: {} }) => ({ id: lastId, ...more });
  const followed = async (): Promise<unknown> => {
    const message = await ask({ method: 'stats' });
    return 'id' in message ? message.answer?.stats?.followed : undefined;
  };

  it('carries out calls, and answers each by its number', async () => {
    serve();
    docker.write('one');
    expect(await ask({ method: 'follow', source: room.source })).toEqual(reply());
    expect(await ask({ method: 'drain', containerId: 'c1' })).toEqual(reply());
    expect(room.texts()).toEqual(['one']);
    expect(await ask({ method: 'stats' })).toEqual(
      reply({
        answer: {
          stats: {
            followed: 1,
            lagBytes: 0,
            largestLagBytes: 0,
            records: 1,
            bytes: expect.any(Number) as number,
            gaps: 0,
            unreadable: 0,
            stalls: 0,
          },
        },
      }),
    );
  });

  it.each<{ method: string; call: WorkerCall; left: number }>([
    { method: 'forget', call: { method: 'forget', containerId: 'c1' }, left: 0 },
    { method: 'forget of another', call: { method: 'forget', containerId: NOBODY }, left: 1 },
    { method: 'retain', call: { method: 'retain', containerIds: new Set(['c1']) }, left: 1 },
    { method: 'retain of another', call: { method: 'retain', containerIds: new Set([NOBODY]) }, left: 0 },
  ])('follows $left logs after $method', async ({ call, left }) => {
    serve();
    docker.write('one');
    await ask({ method: 'follow', source: room.source });
    expect(await ask(call)).toEqual(reply());
    expect(await followed()).toBe(left);
  });

  it('writes a given reason into a missing log', async () => {
    serve();
    const place = { logPath: room.logPath, containerId: 'c1' };
    expect(await ask({ method: 'note', place, text: 'nothing was kept' })).toEqual(reply());
    expect(room.texts()).toEqual([expect.stringContaining('nothing was kept')]);
  });

  it('answers a failed call with its error', async () => {
    serve();
    expect(await ask({ method: 'reopen', containerId: NOBODY })).toEqual(
      reply({ error: { code: 'NOT_FOUND', message: `no log is followed for container ${NOBODY}` } }),
    );
  });

  it('ends with the answer to a close', async () => {
    serve();
    await ask({ method: 'follow', source: room.source });
    expect(await ask({ method: 'close' })).toEqual(reply());
    await closed;
  });

  describe('as the successor of another worker', () => {
    beforeEach(async () => {
      serve();
      docker.write('one');
      await ask({ method: 'follow', source: room.source });
      await ask({ method: 'drain', containerId: 'c1' });
      await ask({ method: 'close' });
      await closed;
      docker.write('two');
    });

    it.each([
      { desc: 'continues at once if it should', options: { resume: true }, left: 1 },
      { desc: 'waits for a call otherwise', options: {}, left: 0 },
      {
        desc: 'does not touch the log in which the earlier worker still hangs',
        options: { resume: true, setAside: ['c1'] },
        left: 0,
      },
    ])('$desc', async ({ options, left }) => {
      serve(options);
      expect(await followed()).toBe(left);
    });
  });
});
