import * as fs from 'node:fs';
import { basename, dirname } from 'node:path';
import type { LogCopier } from '../../../src/logs/log-copier';
import type { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom } from './support/log-room';

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `line ${from + i}`);

describe("cri-dockerd's link to the spool in place of a log", () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  let logs: LogCopier;
  let written: number;
  beforeEach(() => {
    room = new LogRoom();
    docker = room.docker();
    logs = room.logs();
    written = 0;
    write(3);
    fs.mkdirSync(dirname(room.logPath), { recursive: true });
    fs.symlinkSync(room.spoolPath, room.logPath);
  });
  afterEach(() => room.dispose());

  function write(count: number): void {
    for (let i = 0; i < count; i++) docker.write(`line ${written++}`);
  }
  const rotated = (stamp = '20261128-120000'): string => `${room.logPath}.${stamp}`;
  const isLink = (path = room.logPath): boolean => fs.lstatSync(path).isSymbolicLink();
  /** Returns the names in the directory of the log. */
  const names = (): string[] => fs.readdirSync(dirname(room.logPath)).sort();

  async function rotate(by = logs): Promise<void> {
    fs.renameSync(room.logPath, rotated());
    await by.reopen('c1');
  }

  it('stays while the container runs, even if dockbridge restarts', async () => {
    for (let life = 0; life < 3; life++) {
      const another = room.logs();
      another.resume();
      await another.follow(room.source);
      await another.follow(room.source);
      write(2);
      await another.close();
      expect([isLink(), names()]).toEqual([true, [basename(room.logPath)]]);
    }
    expect(fs.readdirSync(room.stateDir)).toEqual([]);
  });

  it('becomes the rotated file when kubelet rotates, and the new file continues from there', async () => {
    await logs.follow(room.source);
    await rotate();
    write(2);
    await logs.drain('c1');
    expect(isLink(rotated())).toBe(false);
    expect([room.texts(rotated()), room.texts()]).toEqual([numbered(0, 3), numbered(3, 5)]);
    expect(names()).toHaveLength(2);
  });

  it('becomes the log when the container ends', async () => {
    await logs.follow(room.source);
    write(2);
    await logs.drain('c1');
    expect([isLink(), room.texts()]).toEqual([false, numbered(0, 5)]);
    expect(names()).toHaveLength(1);
  });

  it('stays for a container that had already ended, and is removed with it', async () => {
    await logs.follow({ ...room.source, hasEnded: true });
    await logs.drain('c1');
    expect(isLink()).toBe(true);
    await logs.forget('c1');
    expect(names()).toEqual([]);
  });

  it('is replaced by at most the last 50 MiB, with a line that says so, and with whole records', async () => {
    // Records of 1 MiB would not fit into the buffers, because Docker's own limit is 16 KiB.
    const text = 'x'.repeat(16_000);
    const records = Math.ceil((55 * 1024 * 1024) / (text.length + 80));
    for (let i = 0; i < records; i++) docker.write(text);
    write(1);
    await logs.follow(room.source);
    await logs.drain('c1');
    const [note, ...rest] = room.texts();
    expect(note).toMatch(/^dockbridge: earlier output is not in this file/);
    expect(rest.slice(0, -1).every((line) => line === text)).toBe(true);
    expect(rest.at(-1)).toBe('line 3');
    const size = fs.statSync(room.spoolPath).size;
    const kept = rest.length * ((size - 4 * 80) / records);
    expect(kept).toBeGreaterThan(49 * 1024 * 1024);
    expect(kept).toBeLessThan(51 * 1024 * 1024);
  });

  it('is replaced by a log that says once that earlier output is missing, if Docker rotates', async () => {
    docker.close();
    docker = room.docker({ maxSize: 20 * 1024 * 1024, maxFile: 5 });
    const text = 'x'.repeat(16_000);
    for (let i = 0; i < 4500; i++) docker.write(text);
    await logs.follow(room.source);
    await logs.drain('c1');
    const texts = room.texts();
    expect(texts.filter((line) => line.startsWith('dockbridge: '))).toEqual([
      expect.stringMatching(/^dockbridge: earlier output/),
    ]);
    const kept = fs.statSync(room.logPath).size;
    expect(kept).toBeGreaterThan(49 * 1024 * 1024);
    expect(kept).toBeLessThan(51 * 1024 * 1024);
  });

  it('is replaced by a log that says that earlier output is missing, if Docker has compressed it', async () => {
    fs.writeFileSync(`${room.spoolPath}.1.gz`, '');
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual([expect.stringMatching(/^dockbridge: earlier output/), ...numbered(0, 3)]);
  });

  it('is put back by dockbridge after a restart if kubelet renamed it and the reopen never came', async () => {
    await logs.follow(room.source);
    fs.renameSync(room.logPath, rotated());
    const second = room.logs();
    second.resume();
    await second.follow(room.source);
    expect([isLink(), names()]).toEqual([true, [basename(room.logPath)]]);
    await rotate(second);
    await second.drain('c1');
    expect([...room.texts(rotated()), ...room.texts()]).toEqual(numbered(0, 3));
  });

  it('stays when kubelet did not rename it', async () => {
    await logs.follow(room.source);
    await logs.reopen('c1');
    expect(isLink()).toBe(true);
  });

  it('is replaced at the next rotation if somebody removed it', async () => {
    await logs.follow(room.source);
    fs.rmSync(room.logPath);
    await logs.reopen('c1');
    await logs.drain('c1');
    expect(room.texts()).toEqual(numbered(0, 3));
  });

  it('stays if positions cannot be saved', async () => {
    await logs.follow(room.source);
    fs.rmSync(room.stateDir, { recursive: true });
    fs.writeFileSync(room.stateDir, 'in the way');
    await logs.drain('c1');
    expect([isLink(), names()]).toEqual([true, [basename(room.logPath)]]);
    expect(room.messages).toMatchObject([{ level: 'warn', fields: { container: 'c1' } }]);
  });
});

describe('our log that a hand-over has made a link', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  const handedOver = (): string => `${room.logPath}.20261128-100000`;
  beforeEach(async () => {
    room = new LogRoom();
    docker = room.docker({ maxSize: 500, maxFile: 4 });
    const first = room.logs();
    await first.follow(room.source);
    docker.write('before');
    await first.drain('c1');
    await first.close();
    fs.renameSync(room.logPath, handedOver());
    fs.symlinkSync(room.spoolPath, room.logPath);
    docker.write('meanwhile');
  });
  afterEach(() => room.dispose());

  async function back(): Promise<LogCopier> {
    const logs = room.logs();
    logs.resume();
    await logs.follow(room.source);
    return logs;
  }

  it('stays a link when dockbridge comes back, and the copy stays unchanged', async () => {
    const logs = await back();
    expect(fs.lstatSync(room.logPath).isSymbolicLink()).toBe(true);
    expect(room.texts(handedOver())).toEqual(['before']);
    await logs.close();
    await back();
    expect(fs.lstatSync(room.logPath).isSymbolicLink()).toBe(true);
  });

  it('continues after the copy when kubelet rotates, without duplicates', async () => {
    const logs = await back();
    const rotated = `${room.logPath}.20261128-110000`;
    fs.renameSync(room.logPath, rotated);
    await logs.reopen('c1');
    docker.write('after');
    await logs.drain('c1');
    expect(room.texts(handedOver())).toEqual(['before']);
    expect(room.texts(rotated)).toEqual(['meanwhile']);
    expect(room.texts()).toEqual(['after']);
  });

  it('says that output is missing if the spool has rotated it away', async () => {
    for (let i = 0; i < 40; i++) docker.write(`line ${i}`);
    const logs = await back();
    await logs.drain('c1');
    const [note, ...rest] = room.texts();
    expect(note).toMatch(/^dockbridge: earlier output/);
    expect(rest.at(-1)).toBe('line 39');
    expect(rest).toHaveLength(room.spooled().length);
  });
});
