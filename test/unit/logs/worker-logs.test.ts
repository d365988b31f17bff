import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { createContainerLogs } from '../../../src/logs/create-container-logs';
import { WorkerLogs } from '../../../src/logs/worker-logs';
import { startSourceWorker } from '../support/source-worker';
import { LogRoom } from './support/log-room';

const NO_THREAD = { code: 'ERR_WORKER_INIT_FAILED' };

const ENTRY = require.resolve('../../../src/logs/worker-entry');

function start(room: LogRoom): WorkerLogs {
  return new WorkerLogs({
    stateDir: room.stateDir,
    logger: room.logger(),
    entry: ENTRY,
    overrides: { startWorker: startSourceWorker },
  });
}

/** Ends the worker as a fault would, without notice. */
async function crash(logs: WorkerLogs): Promise<void> {
  await (logs as unknown as { worker: Worker }).worker.terminate();
}

describe('WorkerLogs', () => {
  let room: LogRoom;
  let logs: WorkerLogs;
  beforeEach(() => {
    room = new LogRoom();
    logs = start(room);
  });
  afterEach(async () => {
    await logs.close();
    await room.dispose();
  });

  it('copies, reopens and forgets logs in a thread', async () => {
    const docker = room.docker();
    docker.write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await logs.reopen('c1');
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts(`${room.logPath}.old`)).toEqual(['one']);
    expect(room.texts()).toEqual(['two']);
    expect(await logs.stats()).toMatchObject({ followed: 1, records: 2 });
    await logs.retain(new Set());
    expect(await logs.stats()).toMatchObject({ followed: 0 });
    await logs.forget('c1');
  });

  it("passes on error codes, and the worker's messages to the logger", async () => {
    await expect(logs.reopen('c1')).rejects.toMatchObject({ name: 'RuntimeError', code: 'NOT_FOUND' });
    fs.writeFileSync(join(room.root, 'pods'), 'in the way');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(room.messages.map(({ level }) => level)).toContain('error');
  });

  it('replaces a worker that died, follows again and answers pending calls', async () => {
    const docker = room.docker();
    docker.write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    await crash(logs);
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
    expect(room.messages.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('resumes saved logs before any call', async () => {
    const docker = room.docker();
    docker.write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    await logs.close();
    docker.write('two');
    logs = start(room);
    await room.until(() => room.texts().length === 2);
    expect(room.texts()).toEqual(['one', 'two']);
  });

  it('refuses to follow after close, lets a drain end, and can be closed twice', async () => {
    await logs.close();
    await logs.close();
    await logs.drain('c1');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

async function comesTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

describe('a node that has no thread for the logs (TasksMax)', () => {
  it('is reported once, delays nobody, and catches up when there is a thread', async () => {
    const room = new LogRoom();
    let tries = 0;
    let isFull = true;
    const logs = new WorkerLogs({
      ...{ stateDir: room.stateDir, logger: room.logger(), entry: ENTRY },
      overrides: {
        startWorker: (path, options) => {
          tries++;
          if (isFull) throw Object.assign(new Error('Worker initialization failure: EAGAIN'), NO_THREAD);
          return startSourceWorker(path, options);
        },
      },
    });
    try {
      const docker = room.docker();
      docker.write('one');
      await expect(logs.follow(room.source)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/cannot start a thread .*EAGAIN.*TasksMax/) as string,
      });
      await logs.drain('c1');
      expect(logs.trouble).toMatchObject({
        reason: 'LogsWithoutThread',
        message: expect.stringMatching(/^cannot start a thread/) as string,
      });
      await comesTrue(() => tries > 2);
      const said = (): string[] => room.messages.map(({ message }) => message);
      expect(said().filter((message) => message === 'Container logs are not written')).toHaveLength(1);
      isFull = false;
      await comesTrue(() => logs.trouble === undefined);
      await comesTrue(() => fs.existsSync(room.logPath) && room.texts().length === 1);
      expect(room.texts()).toEqual(['one']);
      expect(said()).toContain('The log worker runs again; logs are catching up');
    } finally {
      await logs.close();
      await room.dispose();
    }
  });
});

describe('createContainerLogs', () => {
  it('starts the worker from the file next to its own code', async () => {
    const room = new LogRoom();
    const entries: string[] = [];
    const logs = createContainerLogs({
      mode: 'cri',
      stateDir: room.stateDir,
      logger: room.logger(),
      overrides: {
        startWorker: (entry, options) => {
          entries.push(entry);
          return startSourceWorker(entry, options);
        },
      },
    });
    room.docker().write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
    expect(entries).toEqual([ENTRY]);
    await logs.close();
    await room.dispose();
  });
});
