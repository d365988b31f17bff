import * as fs from 'node:fs';
import { join } from 'node:path';
import { nodeLogDisk } from '../../../src/logs/log-disk';
import type { FakeDockerLog } from './support/fake-docker-log';
import { withLogRoom, type LogRoom } from './support/log-room';

describe('the files of many active logs', () => {
  let room: LogRoom;
  withLogRoom((made) => (room = made));

  const sourceOf = (number: number) => ({
    containerId: `many${number}`,
    spoolPath: join(room.root, `docker/many${number}-json.log`),
    logPath: join(room.root, `pods/many${number}.log`),
  });
  const write = (path: string, text: string): void =>
    fs.appendFileSync(path, `{"log":"${text}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`);
  const heldLogs = (): number => room.openFiles().filter((path) => path.endsWith('.log')).length;

  it('are open only up to the limit, even before their first line', async () => {
    const logs = room.logs({ mostOpen: 2 });
    const sources = [0, 1, 2, 3, 4].map(sourceOf);
    for (const { spoolPath } of sources) fs.writeFileSync(spoolPath, '');
    for (const source of sources) await logs.follow(source);
    await Promise.all(sources.map(({ containerId }) => logs.drain(containerId)));
    expect(heldLogs()).toBeLessThanOrEqual(4);
    for (const { spoolPath } of sources) write(spoolPath, 'the first line');
    await Promise.all(sources.map(({ containerId }) => logs.drain(containerId)));
    for (const { logPath } of sources) expect(room.texts(logPath)).toEqual(['the first line']);
    expect(room.messages).toEqual([]);
  });

  it('are open only up to the limit, and have each line once and in order', async () => {
    const logs = room.logs({ mostOpen: 2 });
    const sources = [0, 1, 2, 3, 4].map(sourceOf);
    for (const { spoolPath } of sources) write(spoolPath, 'line 0');
    for (const source of sources) await logs.follow(source);
    for (let round = 1; round < 4; round++) {
      for (const { spoolPath } of sources) write(spoolPath, `line ${round}`);
      await Promise.all(sources.map(({ containerId }) => logs.drain(containerId)));
      expect(heldLogs()).toBeLessThanOrEqual(4);
    }
    for (const { logPath } of sources)
      expect(room.texts(logPath)).toEqual(['line 0', 'line 1', 'line 2', 'line 3']);
    expect(room.messages).toEqual([]);
  });
});

describe('the files of one log', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  withLogRoom((made) => {
    room = made;
    docker = room.docker({ maxSize: 500, maxFile: 3 });
  });

  it('are closed when its container is quiet', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      const logs = room.logs();
      await logs.follow(room.source);
      docker.write('one');
      await logs.drain('c1');
      // The drain has saved the position. The following fruitless checks set up inotify and close the
      // files.
      for (let look = 0; look < 8; look++) {
        await jest.advanceTimersByTimeAsync(30);
        await new Promise((resolve) => setImmediate(resolve));
      }
      // The fake Engine has its own descriptor in this process.
      expect(room.openFiles()).toEqual([room.spoolPath]);
      docker.write('two');
      await logs.drain('c1');
      expect(room.texts()).toEqual(['one', 'two']);
    } finally {
      jest.useRealTimers();
    }
  });

  const inTheWay = (): void => fs.writeFileSync(join(room.root, 'pods'), 'in the way');
  const openAppend = (): never => {
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  };
  it.each([
    ['before the spool is opened', inTheWay, {}],
    ['after the spool was opened', () => undefined, { disk: { ...nodeLogDisk, openAppend } }],
  ])('are closed when the log fails %s', async (_when, prepare, options) => {
    prepare();
    const logs = room.logs(options);
    docker.write('one');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    for (let retry = 0; retry < 5; retry++) await logs.drain('c1');
    // The fake Engine has its own descriptor in this process.
    expect(room.openFiles()).toEqual([room.spoolPath]);
  });
});
