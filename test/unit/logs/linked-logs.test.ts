import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { ContainerLogs } from '../../../src/logs/container-logs';
import { LinkedLogs } from '../../../src/logs/linked-logs';
import { LogRoom } from './support/log-room';

describe('LinkedLogs', () => {
  let room: LogRoom;
  let logs: ContainerLogs;
  beforeEach(() => {
    room = new LogRoom();
    fs.writeFileSync(room.spoolPath, 'one\n');
    logs = new LinkedLogs(room.logger());
  });
  afterEach(() => room.dispose());

  const isLink = (path = room.logPath): boolean =>
    fs.lstatSync(path).isSymbolicLink() && fs.readlinkSync(path) === room.spoolPath;
  const names = (): string[] => fs.readdirSync(dirname(room.logPath)).sort();
  const read = (path = room.logPath): string => fs.readFileSync(path, 'utf8');

  it('makes one link, however often it is asked', async () => {
    await Promise.all([logs.follow(room.source), logs.follow(room.source)]);
    await logs.follow(room.source);
    expect(isLink()).toBe(true);
    expect(names()).toEqual(['0.log']);
    expect(read()).toBe('one\n');
  });

  it('links to a spool that does not exist yet', async () => {
    fs.rmSync(room.spoolPath);
    await logs.follow(room.source);
    fs.writeFileSync(room.spoolPath, 'late\n');
    expect(read()).toBe('late\n');
  });

  it('keeps a log that cri mode wrote as a rotated file, and replaces a link to another file', async () => {
    fs.mkdirSync(dirname(room.logPath), { recursive: true });
    for (const text of ['old\n', 'of another switch\n']) {
      fs.rmSync(room.logPath, { force: true });
      fs.writeFileSync(room.logPath, text);
      await logs.follow(room.source);
      expect(isLink()).toBe(true);
    }
    const kept = names().filter((name) => /^0\.log\.\d{8}-\d{6}$/.test(name));
    expect(kept.map((name) => read(join(dirname(room.logPath), name)))).toEqual([
      'old\n',
      'of another switch\n',
    ]);
    fs.rmSync(room.logPath);
    fs.symlinkSync('/elsewhere', room.logPath);
    await logs.follow(room.source);
    expect(isLink()).toBe(true);
  });

  it.each(['.tmp', '.dockbridge-copy'])('writes through no symlink that a pod put at %s', async (suffix) => {
    const precious = join(room.root, 'precious');
    fs.writeFileSync(precious, 'precious');
    await logs.follow(room.source);
    const renamed = `${room.logPath}.20260101-000000`;
    fs.renameSync(room.logPath, renamed);
    fs.symlinkSync(precious, `${renamed}${suffix}`);
    await logs.reopen('c1');
    expect([read(precious), read(renamed), fs.lstatSync(renamed).isFile()]).toEqual([
      'precious',
      'one\n',
      true,
    ]);
  });

  it('follows no symlink that a pod put in place of a directory', async () => {
    const elsewhere = join(room.root, 'elsewhere');
    fs.mkdirSync(elsewhere);
    fs.mkdirSync(join(room.root, 'pods'), { recursive: true });
    fs.symlinkSync(elsewhere, dirname(dirname(room.logPath)));
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(fs.readdirSync(elsewhere)).toEqual([]);
  });

  it('writes once into the log why there is no output', async () => {
    await logs.note(room.source, 'no log');
    await logs.note(room.source, 'no log');
    expect(room.texts()).toEqual(['dockbridge: no log']);
  });

  it('names the file that cannot be created', async () => {
    fs.writeFileSync(join(room.root, 'pods'), 'in the way');
    await expect(logs.follow(room.source)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining(room.logPath) as unknown,
    });
  });

  it('copies the target of the renamed link, truncates it, and makes a new link', async () => {
    await logs.follow(room.source);
    const writer = fs.openSync(room.spoolPath, 'a');
    const renamed = `${room.logPath}.20260101-000000`;
    fs.renameSync(room.logPath, renamed);
    await logs.reopen('c1');
    fs.writeSync(writer, 'two\n');
    fs.closeSync(writer);
    expect(fs.lstatSync(renamed).isFile()).toBe(true);
    expect(read(renamed)).toBe('one\n');
    expect(isLink()).toBe(true);
    expect(read()).toBe('two\n');
    expect(names()).toEqual(['0.log', '0.log.20260101-000000']);
  });

  it('truncates nothing without a rename, and makes a missing link', async () => {
    await logs.follow(room.source);
    fs.rmSync(room.logPath);
    await logs.reopen('c1');
    expect(isLink()).toBe(true);
    expect(read()).toBe('one\n');
  });

  it('truncates nothing when the copy fails, and leaves no incomplete file', async () => {
    await logs.follow(room.source);
    const renamed = `${room.logPath}.20260101-000000`;
    fs.renameSync(room.logPath, renamed);
    fs.mkdirSync(`${renamed}.tmp`);
    fs.writeFileSync(join(`${renamed}.tmp`, 'in the way'), '');
    await expect(logs.reopen('c1')).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(read(room.spoolPath)).toBe('one\n');
    expect(isLink(renamed)).toBe(true);
  });

  it('refuses to reopen an unknown log', async () => {
    await expect(logs.reopen('c1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await logs.follow(room.source);
    await logs.retain(new Set());
    await expect(logs.reopen('c1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('removes its link with the container, and no foreign file', async () => {
    await logs.follow(room.source);
    await logs.drain('c1');
    await logs.forget('c1');
    await logs.forget('c1');
    expect(names()).toEqual([]);
    await logs.follow(room.source);
    fs.rmSync(room.logPath);
    fs.writeFileSync(room.logPath, 'not ours');
    await logs.forget('c1');
    expect(names()).toEqual(['0.log']);
    await logs.close();
  });

  it('does not fail a removal because of a link that cannot be read', async () => {
    await logs.follow(room.source);
    fs.rmSync(dirname(room.logPath), { recursive: true });
    fs.writeFileSync(dirname(room.logPath), 'in the way');
    await logs.forget('c1');
    expect(room.messages).toMatchObject([{ level: 'warn' }]);
  });
});

describe('LinkedLogs on a disk that hangs', () => {
  it('delays nobody for long, uses at most two threads, and reports the hang', async () => {
    const room = new LogRoom();
    const held: string[] = [];
    const logs = new LinkedLogs(room.logger(), ({ path }) => {
      held.push(path);
      return new Promise(() => undefined);
    });
    const follow = (containerId: string) =>
      logs.follow({ ...room.source, containerId, logPath: `/dead/${containerId}/0.log` });
    jest.useFakeTimers();
    try {
      expect(logs.trouble).toBeUndefined();
      const refused = ['c1', 'c2'].map((id) =>
        expect(follow(id)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' }),
      );
      await jest.advanceTimersByTimeAsync(15_000);
      await Promise.all(refused);
      expect(logs.trouble).toEqual({
        reason: 'LogsHang',
        message: expect.stringMatching(/does not answer \(container c1, c2\); no log is linked/) as string,
      });
      // No timer is advanced here, so these calls must fail at once.
      for (const id of ['c1', 'c3'])
        await expect(follow(id)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      await logs.forget('c1');
      expect(held).toEqual(['/dead/c1', '/dead/c2']);
    } finally {
      jest.useRealTimers();
      await room.dispose();
    }
  });
});
