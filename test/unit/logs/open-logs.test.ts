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
  const heldFiles = (): number =>
    fs
      .readdirSync('/proc/self/fd')
      .map(target)
      .filter((path) => path.startsWith(room.root) && path.endsWith('.log')).length;

  it('hold files of no more than allowed, and have each line once and in order', async () => {
    const logs = room.logs({ mostOpen: 2 });
    const sources = [0, 1, 2, 3, 4].map((number) => ({
      containerId: `many${number}`,
      spoolPath: join(room.root, `docker/many${number}-json.log`),
      logPath: join(room.root, `pods/many${number}.log`),
    }));
    const write = (path: string, text: string): void =>
      fs.appendFileSync(path, `{"log":"${text}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`);
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
