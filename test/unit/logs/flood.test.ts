import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { withLogRoom, type LogRoom } from './support/log-room';
import { storm } from './support/storm';

describe('a flooding container', () => {
  let room: LogRoom;
  withLogRoom((made) => (room = made));

  function allTexts(): string[] {
    const directory = dirname(room.logPath);
    const rotated = fs.readdirSync(directory).filter((name) => name !== basename(room.logPath));
    return [...rotated.sort(), basename(room.logPath)].flatMap((name) => room.texts(join(directory, name)));
  }

  it('keeps every line once and in order through rotations of the spool and of the log', async () => {
    const lines = 60_000;
    const logs = room.logs();
    await logs.follow(room.source);
    const flow = { ended: false };
    const options = { path: room.spoolPath, lines, maxSize: 500_000, maxFile: 4, linesAMillisecond: 30 };
    const done = storm(options).then(() => (flow.ended = true));
    let renames = 0;
    // Rotations do not depend on a timer. Each one waits until the new file has some output.
    while (!flow.ended) {
      await nextTurn();
      if (fs.statSync(room.logPath).size < 20_000) continue;
      fs.renameSync(room.logPath, `${room.logPath}.${String(renames++).padStart(6, '0')}`);
      await logs.reopen('c1');
      expect(fs.existsSync(room.logPath)).toBe(true);
    }
    await done;
    await logs.drain('c1');
    expect(renames).toBeGreaterThan(5);
    expect((await logs.stats()).gaps).toBe(0);
    expect(allTexts()).toEqual(Array.from({ length: lines }, (_, i) => `line ${i}`));
  });

  it('has a gap line wherever the spool was overrun, and only there', async () => {
    const lines = 40_000;
    const logs = room.logs();
    room.docker().write('line 0');
    await logs.follow(room.source);
    await logs.drain('c1');
    await storm({ path: room.spoolPath, lines, maxSize: 4_000, maxFile: 3, linesAMillisecond: 0 });
    await logs.drain('c1');
    let next = 0;
    let gaps = 0;
    for (const text of room.texts().slice(1)) {
      if (text.startsWith('dockbridge: gap')) {
        gaps++;
        next = -1;
        continue;
      }
      const number = Number(text.slice('line '.length));
      if (next >= 0) expect(number).toBe(next);
      else expect(number).toBeGreaterThan(0);
      next = number + 1;
    }
    expect(next).toBe(lines);
    expect((await logs.stats()).gaps).toBe(gaps);
  });

  it('does not delay quiet containers', async () => {
    const logs = room.logs({ bufferBytes: 8192 });
    const flood = room.docker();
    for (let i = 0; i < 20_000; i++) flood.write(`line ${i}`);
    await logs.follow(room.source);
    const quiet = {
      containerId: 'c2',
      spoolPath: `${room.root}/docker/c2-json.log`,
      logPath: `${room.root}/c2.log`,
    };
    fs.writeFileSync(quiet.spoolPath, '{"log":"x\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n');
    await logs.follow(quiet);
    await logs.drain('c2');
    expect(room.content(quiet.logPath)).toBe('2026-01-01T00:00:00.000000000Z stdout F x\n');
    expect((await logs.stats()).records).toBeLessThan(20_000);
    await logs.drain('c1');
    expect((await logs.stats()).records).toBe(20_001);
  });
});
