import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nodeLogDisk } from '../../../src/logs/log-disk';
import { relinkContainerLog } from '../../../src/logs/log-link';
import { rejectionOf } from '../support/errors';
import type { FakeDockerLog } from './support/fake-docker-log';
import { withLogRoom, type LogRoom } from './support/log-room';

/** Matches the name of a log that kubelet has rotated. */
const ROTATED = /^log\.\d{8}-\d{6}$/;

describe('the hand-over of a log', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  withLogRoom((made) => {
    room = made;
    docker = room.docker({ maxSize: 500, maxFile: 4 });
  });

  const directory = (): string => dirname(room.logPath);
  const names = (): string[] => fs.readdirSync(directory()).sort();
  const isLink = (): boolean =>
    fs.lstatSync(room.logPath).isSymbolicLink() && fs.readlinkSync(room.logPath) === room.spoolPath;
  const rotated = (): string =>
    join(
      directory(),
      names().find((name) => name !== basename(room.logPath))!,
    );

  it('makes the log a link, and keeps the complete copy as a rotated file', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    docker.write('two');
    const { ino } = fs.statSync(room.logPath);
    const { changed, keptAs } = await logs.handOver(room.source);
    expect(changed).toBe(true);
    expect(isLink()).toBe(true);
    expect(keptAs).toBe(rotated());
    expect(names()).toHaveLength(2);
    expect(basename(keptAs).replace(basename(room.logPath), 'log')).toMatch(ROTATED);
    expect(fs.statSync(keptAs)).toMatchObject({ ino, nlink: 1 });
    expect(room.texts(keptAs)).toEqual(['one', 'two']);
  });

  it('leaves the log alone afterwards, whatever is requested', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.handOver(room.source);
    docker.write('two');
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(await rejectionOf(logs.reopen('c1'))).toMatch(/^NOT_FOUND/);
    expect(isLink()).toBe(true);
    expect(room.texts(rotated())).toEqual(['one']);
    expect((await logs.stats()).followed).toBe(0);
  });

  it('can be repeated, even by another process, and changes nothing', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.handOver(room.source);
    await first.close();
    const before = names();
    const logs = room.logs();
    for (let time = 1; time <= 2; time++)
      expect(await logs.handOver(room.source)).toEqual({ changed: false, keptAs: '' });
    expect(names()).toEqual(before);
    expect(isLink()).toBe(true);
  });

  it('completes the copy of a daemon that no longer runs', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.drain('c1');
    await first.close();
    for (let line = 1; line <= 12; line++) docker.write(`line ${line}`);
    expect(docker.rotations).toBeGreaterThan(0);
    const { keptAs } = await room.logs().handOver(room.source);
    expect(room.texts(keptAs)).toEqual(['one', ...Array.from({ length: 12 }, (_, at) => `line ${at + 1}`)]);
  });

  it('loses nothing that the Engine rotates away between copy and link', async () => {
    let armed = false;
    const disk = {
      ...nodeLogDisk,
      // The last drain saves its position here. Nothing is copied between this save and the link.
      replace: (path: string, text: string): void => {
        nodeLogDisk.replace(path, text);
        if (!armed) return;
        armed = false;
        docker.write('late');
        docker.rotate();
        docker.write('newest');
      },
    };
    const logs = room.logs({ disk });
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    docker.write('two');
    armed = true;
    const { keptAs } = await logs.handOver(room.source);
    expect(armed).toBe(false);
    expect(room.texts(keptAs)).toEqual(expect.arrayContaining(['one', 'two', 'late']));
    expect(fs.readFileSync(room.logPath, 'utf8')).toContain('newest');
  });

  it.each([
    ['before the link existed', () => fs.linkSync(room.logPath, `${room.logPath}.20261128-120000`)],
    [
      'while the link was made',
      () => {
        fs.linkSync(room.logPath, `${room.logPath}.20261128-120000`);
        fs.symlinkSync(room.spoolPath, `${room.logPath}.tmp`);
      },
    ],
  ])('has the same result after a kill %s', async (_, killed) => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.drain('c1');
    await first.close();
    killed();
    const { keptAs } = await room.logs().handOver(room.source);
    expect(keptAs).toBe(`${room.logPath}.20261128-120000`);
    expect(names()).toEqual([basename(room.logPath), basename(keptAs)]);
    expect(isLink()).toBe(true);
    expect(room.texts(keptAs)).toEqual(['one']);
  });

  it('makes a link if there is no log', async () => {
    docker.write('one');
    const logs = room.logs();
    expect(await logs.handOver(room.source)).toEqual({ changed: true, keptAs: '' });
    expect(names()).toEqual([basename(room.logPath)]);
    expect(isLink()).toBe(true);
  });

  it('chooses another name if kubelet has rotated in the same second', () => {
    const now = new Date(2026, 10, 28, 12, 0, 59);
    fs.mkdirSync(directory(), { recursive: true });
    fs.writeFileSync(room.logPath, 'ours');
    fs.writeFileSync(`${room.logPath}.20261128-120059`, 'rotated');
    expect(relinkContainerLog(room.source, now).keptAs).toBe(`${room.logPath}.20261128-120100`);
    expect(fs.readFileSync(`${room.logPath}.20261128-120059`, 'utf8')).toBe('rotated');
  });

  it('leaves the log unchanged if no link can be made', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    // A directory stands in the way of the link's draft.
    fs.mkdirSync(`${room.logPath}.tmp`);
    expect(await rejectionOf(logs.handOver(room.source))).toMatch(/^INTERNAL .*cannot be replaced by a link/);
    expect(fs.lstatSync(room.logPath)).toMatchObject({ nlink: 1 });
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
  });
});
