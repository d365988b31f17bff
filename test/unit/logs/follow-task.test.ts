import * as fs from 'node:fs';
import { join } from 'node:path';
import { LogRoom } from './support/log-room';

describe('many logs that flow', () => {
  let room: LogRoom;
  beforeEach(() => {
    room = new LogRoom();
  });
  afterEach(() => room.dispose());

  const target = (fd: string): string => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  const sourceOf = (number: number) => ({
    containerId: `many${number}`,
    spoolPath: join(room.root, `docker/many${number}-json.log`),
    logPath: join(room.root, `pods/many${number}.log`),
  });
  const write = (path: string, text: string): void =>
    fs.appendFileSync(path, `{"log":"${text}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`);
  const heldFiles = (): number =>
    fs
      .readdirSync('/proc/self/fd')
      .map(target)
      .filter((path) => path.startsWith(room.root) && path.endsWith('.log')).length;

  it('let go of files though they have no line yet', async () => {
    const logs = room.logs({ mostOpen: 2 });
    const sources = [0, 1, 2, 3, 4].map(sourceOf);
    for (const { spoolPath } of sources) fs.writeFileSync(spoolPath, '');
    for (const source of sources) await logs.follow(source);
    await Promise.all(sources.map(({ containerId }) => logs.drain(containerId)));
    expect(heldFiles()).toBeLessThanOrEqual(4);
    for (const { spoolPath } of sources) write(spoolPath, 'the first line');
    await Promise.all(sources.map(({ containerId }) => logs.drain(containerId)));
    for (const { logPath } of sources) expect(room.texts(logPath)).toEqual(['the first line']);
    expect(room.messages).toEqual([]);
  });

  it('hold files of no more than allowed, and have each line once and in order', async () => {
    const logs = room.logs({ mostOpen: 2 });
    const sources = [0, 1, 2, 3, 4].map(sourceOf);
    for (const { spoolPath } of sources) write(spoolPath, 'line 0');
    for (const source of sources) await logs.follow(source);
    for (let round = 1; round < 4; round++) {
      for (const { spoolPath } of sources) write(spoolPath, `line ${round}`);
      await Promise.all(sources.map(({ containerId }) => logs.drain(containerId)));
      expect(heldFiles()).toBeLessThanOrEqual(4);
    }
    for (const { logPath } of sources)
      expect(room.texts(logPath)).toEqual(['line 0', 'line 1', 'line 2', 'line 3']);
    expect(room.messages).toEqual([]);
  });
});
