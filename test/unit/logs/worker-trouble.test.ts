import { EventEmitter } from 'node:events';
import type { Worker, WorkerOptions } from 'node:worker_threads';
import type { Request } from '../../../src/lib/worker-rpc';
import { ALL_POSITIONS, WorkMarker } from '../../../src/logs/hang-watch';
import { WorkerLogs } from '../../../src/logs/worker-logs';
import type { WorkerCall, WorkerSettings } from '../../../src/logs/worker-entry';
import { LogRoom } from './support/log-room';

const HANG_TIMES = { lookMs: 1_000, looks: 3 };

/** A thread that answers nothing by itself. */
class FakeWorker extends EventEmitter {
  readonly requests: Request<WorkerCall>[] = [];
  private readonly memory: SharedArrayBuffer;

  constructor({ workerData }: WorkerOptions) {
    super();
    this.memory = (workerData as WorkerSettings).marker;
  }

  postMessage(request: Request<WorkerCall>): void {
    this.requests.push(request);
  }

  terminate(): Promise<number> {
    return new Promise(() => undefined);
  }

  /** Sets the marker of a thread that is in a file call for this container's log. */
  hangAt(containerId: string): void {
    new WorkMarker(this.memory).during(containerId, () => {
      const numbers = new Int32Array(this.memory, 0, 2);
      const during = numbers.slice();
      queueMicrotask(() => numbers.set(during));
    });
  }
}

describe('a log worker in trouble', () => {
  let room: LogRoom;
  let workers: FakeWorker[];
  let logs: WorkerLogs;
  const source = (containerId: string) => ({ ...room.source, containerId });
  const newest = (): FakeWorker => workers[workers.length - 1]!;

  beforeEach(() => {
    room = new LogRoom();
    workers = [];
    jest.useFakeTimers();
    logs = new WorkerLogs({
      stateDir: room.stateDir,
      logger: room.logger(),
      entry: 'fake',
      overrides: {
        hangTimes: HANG_TIMES,
        startWorker: (_, options) => {
          workers.push(new FakeWorker(options));
          return newest() as EventEmitter as Worker;
        },
      },
    });
  });
  afterEach(async () => {
    const closed = logs.close();
    await jest.advanceTimersByTimeAsync(10_000);
    await closed;
    jest.useRealTimers();
    await room.dispose();
  });

  async function hang(containerId: string): Promise<void> {
    newest().hangAt(containerId);
    await jest.advanceTimersByTimeAsync(HANG_TIMES.lookMs * (HANG_TIMES.looks + 1));
  }

  it('delays nobody when the maximum number of threads hang, and follows the logs later', async () => {
    for (const id of ['c1', 'c2', 'c3']) await hang(id);
    const asked = logs.follow(source('c5')).catch((error: unknown) => error);
    await hang('c4');
    expect(workers).toHaveLength(4);
    const refusal = { code: 'UNAVAILABLE', message: expect.stringMatching(/no log is written/) as string };
    expect(await asked).toMatchObject(refusal);
    await expect(logs.follow(source('c6'))).rejects.toMatchObject(refusal);
    workers[0]!.emit('exit', 1);
    expect(workers).toHaveLength(5);
    const followed = newest().requests.map(({ call }) => 'source' in call && call.source.containerId);
    expect(followed).toEqual(['c5', 'c6']);
  });

  it('reports a state directory that hangs, and continues when it answers', async () => {
    const asked = logs.follow(source('c1'));
    await hang(ALL_POSITIONS);
    expect(logs.trouble).toEqual({
      reason: 'LogsHang',
      message: expect.stringMatching(/does not answer \(the state directory\)$/) as string,
    });
    expect(workers).toHaveLength(2);
    const { id } = newest().requests.at(-1)!;
    newest().emit('message', { id, answer: {} });
    await asked;
    workers[0]!.emit('exit', 1);
    expect(logs.trouble).toBeUndefined();
    expect(room.messages.map(({ message }) => message)).toEqual([
      expect.stringContaining('The file system of the state directory hangs'),
      'The state directory answers again',
    ]);
  });

  it('reports that no worker stays alive, delays nobody, and continues with the first worker that does', async () => {
    const end = async (): Promise<void> => {
      newest().emit('error', new Error('Worker terminated due to reaching memory limit'));
      newest().emit('exit', 1);
      await jest.advanceTimersByTimeAsync(10_000);
    };
    const asked = logs.follow(source('c1')).catch((error: unknown) => error);
    await end();
    await end();
    expect(logs.trouble).toBeUndefined();
    await end();
    const message = expect.stringMatching(/keeps ending \(.*memory limit\)/) as string;
    expect(await asked).toMatchObject({ code: 'UNAVAILABLE', message });
    await expect(logs.follow(source('c2'))).rejects.toMatchObject({ code: 'UNAVAILABLE', message });
    expect(logs.trouble).toEqual({ reason: 'LogsWithoutThread', message });
    expect(room.messages.filter((line) => line.message === 'Container logs are not written')).toHaveLength(1);
    for (const { id } of newest().requests) newest().emit('message', { id, answer: {} });
    const again = logs.follow(source('c3'));
    newest().emit('message', { id: newest().requests.at(-1)!.id, answer: {} });
    await again;
    // This worker may still end like the others.
    expect(logs.trouble).toBeDefined();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(logs.trouble).toBeUndefined();
  });

  it('is replaced soon if it had lived for a while, and earlier ends no longer count', async () => {
    const isReplacedAfter = async (ms: number): Promise<void> => {
      const before = workers.length;
      newest().emit('exit', 1);
      await jest.advanceTimersByTimeAsync(ms - 1);
      expect(workers).toHaveLength(before);
      await jest.advanceTimersByTimeAsync(1);
      expect(workers).toHaveLength(before + 1);
    };
    for (const ms of [100, 200, 400]) await isReplacedAfter(ms);
    expect(logs.trouble).toMatchObject({ reason: 'LogsWithoutThread' });
    newest().emit('message', { id: newest().requests[0]!.id, answer: {} });
    await jest.advanceTimersByTimeAsync(60_000);
    for (const ms of [100, 200]) await isReplacedAfter(ms);
    expect(logs.trouble).toBeUndefined();
    await isReplacedAfter(400);
    expect(logs.trouble).toMatchObject({ reason: 'LogsWithoutThread' });
  });
});
