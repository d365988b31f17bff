import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { FakeDockerLog } from './support/fake-docker-log';
import type { LogCopier } from '../../../src/logs/log-copier';
import { nodeLogDisk } from '../../../src/logs/log-disk';
import { LogRoom } from './support/log-room';

describe('the resume before any call', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  beforeEach(async () => {
    room = new LogRoom();
    docker = room.docker({ maxSize: 500, maxFile: 4 });
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.drain('c1');
    await first.close();
  });
  afterEach(() => room.dispose());

  function resumed(): LogCopier {
    const logs = room.logs();
    logs.resume();
    return logs;
  }
  const followed = async (logs: LogCopier): Promise<number> => (await logs.stats()).followed;

  it('copies the output written meanwhile, and a later follow changes nothing', async () => {
    docker.write('two');
    const logs = resumed();
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
    await logs.follow(room.source);
    docker.write('three');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two', 'three']);
    expect(await followed(logs)).toBe(1);
  });

  it('writes all logs while a broken disk does not list the positions', async () => {
    docker.write('two');
    const list = (directory: string): readonly string[] => {
      if (directory !== room.stateDir) return nodeLogDisk.list(directory);
      throw Object.assign(new Error('EIO: i/o error, scandir'), { code: 'EIO' });
    };
    const logs = room.logs({ disk: { ...nodeLogDisk, list } });
    logs.resume();
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
    await logs.retain(new Set(['c1']));
    expect(
      room.messages.filter(({ message }) => message.startsWith('Cannot list log positions')),
    ).toHaveLength(1);
  });

  it('does not follow the log of a container without new output', async () => {
    expect(await followed(resumed())).toBe(0);
  });

  it('does not follow the log of a container without a spool', async () => {
    docker.write('two');
    fs.rmSync(dirname(room.spoolPath), { recursive: true });
    expect(await followed(resumed())).toBe(0);
    expect(room.texts()).toEqual(['one']);
  });

  it.each([
    ['directory', () => fs.rmSync(dirname(room.logPath), { recursive: true })],
    ['file', () => fs.rmSync(room.logPath)],
  ])('creates nothing for a container whose log %s is gone, until a call comes', async (_, remove) => {
    docker.write('two');
    remove();
    const logs = resumed();
    await logs.drain('c1');
    expect(await followed(logs)).toBe(0);
    expect(fs.existsSync(room.logPath)).toBe(false);
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['two']);
  });

  it('creates nothing when the log goes after the resume, until a call comes', async () => {
    docker.write('two');
    const logs = resumed();
    await logs.drain('c1');
    fs.rmSync(join(room.root, 'pods'), { recursive: true });
    docker.write('three');
    await logs.drain('c1');
    expect(fs.existsSync(join(room.root, 'pods'))).toBe(false);
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['three']);
  });

  it('continues in a renamed log, and creates the new one when a call comes', async () => {
    docker.write('two');
    const old = `${room.logPath}.old`;
    fs.renameSync(room.logPath, old);
    const logs = resumed();
    await logs.drain('c1');
    expect(room.texts(old)).toEqual(['one', 'two']);
    await logs.follow(room.source);
    expect(room.content()).toBe('');
    docker.write('three');
    await logs.drain('c1');
    expect(room.texts(old)).toEqual(['one', 'two']);
    expect(room.texts()).toEqual(['three']);
  });

  it('continues at the path if the spool has wrapped, with a gap', async () => {
    for (let i = 0; i < 60; i++) docker.write(`line ${i}`);
    const logs = resumed();
    await logs.drain('c1');
    const [one, gap, ...rest] = room.texts();
    expect([one, gap]).toEqual(['one', expect.stringMatching(/^dockbridge: gap/)]);
    expect(rest.at(-1)).toBe('line 59');
  });

  it('continues with the others when one log cannot be read', async () => {
    const broken = join(room.root, 'docker/c0/c0-json.log');
    const other = JSON.parse(fs.readFileSync(join(room.stateDir, 'c1.json'), 'utf8')) as object;
    const paths = { spoolPath: broken, logPath: `${room.logPath}.c0` };
    fs.writeFileSync(join(room.stateDir, 'c0.json'), JSON.stringify({ ...other, paths }));
    docker.write('two');
    const logs = room.logs({
      disk: {
        ...nodeLogDisk,
        factsAt: (path) => {
          if (path === broken) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
          return nodeLogDisk.factsAt(path);
        },
      },
    });
    logs.resume();
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
    expect(room.messages).toMatchObject([{ level: 'warn', fields: { container: 'c0' } }]);
  });

  describe('after a kill, lines beyond the last saved position', () => {
    let truncated: number[];
    beforeEach(async () => {
      const position = join(room.stateDir, 'c1.json');
      const saved = fs.readFileSync(position);
      const killed = room.logs();
      await killed.follow(room.source);
      docker.write('two');
      await killed.drain('c1');
      await killed.close();
      fs.writeFileSync(position, saved);
      truncated = [];
    });
    const watched = (): LogCopier => {
      const logs = room.logs({
        disk: {
          ...nodeLogDisk,
          truncate: (fd, size) => {
            truncated.push(size);
            nodeLogDisk.truncate(fd, size);
          },
        },
      });
      logs.resume();
      return logs;
    };

    it('stay in place, because a shipper treats a file that shrinks as a new one', async () => {
      docker.write('three');
      await watched().drain('c1');
      expect(room.texts()).toEqual(['one', 'two', 'three']);
      expect(truncated).toEqual([]);
    });

    it('are completed if the kill tore one', async () => {
      fs.truncateSync(room.logPath, room.content().length - 3);
      await watched().drain('c1');
      expect(room.texts()).toEqual(['one', 'two']);
      expect(truncated).toEqual([]);
    });

    it('are cut if they do not come again', async () => {
      fs.appendFileSync(
        room.logPath,
        '2026-11-28T12:00:00.000000000Z stderr F dockbridge: gap: of that time\n',
      );
      docker.write('three');
      await watched().drain('c1');
      expect(room.texts()).toEqual(['one', 'two', 'three']);
      expect(truncated).toHaveLength(1);
    });

    it('are cut at the end of the spool if they are incomplete', async () => {
      fs.appendFileSync(room.logPath, 'half a line');
      await watched().drain('c1');
      expect(room.texts()).toEqual(['one', 'two']);
      expect(truncated).toHaveLength(1);
    });

    it('are never in two files if kubelet rotates first', async () => {
      const logs = watched();
      await logs.follow(room.source);
      fs.renameSync(room.logPath, `${room.logPath}.old`);
      await logs.reopen('c1');
      await logs.drain('c1');
      expect([...room.texts(`${room.logPath}.old`), ...room.texts()]).toEqual(['one', 'two']);
    });
  });

  it('no longer follows a container that retain does not name', async () => {
    docker.write('two');
    const logs = resumed();
    await logs.retain(new Set());
    expect(await followed(logs)).toBe(0);
    expect(fs.readdirSync(room.stateDir)).toEqual([]);
  });

  it('accepts a position without paths, as earlier versions wrote it', async () => {
    docker.write('two');
    const file = join(room.stateDir, 'c1.json');
    const { paths: _, ...rest } = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
    fs.writeFileSync(file, JSON.stringify(rest));
    const logs = resumed();
    expect(await followed(logs)).toBe(0);
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
  });
});

describe("kubelet's rename-back after a completed reopen", () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  let logs: LogCopier;
  beforeEach(async () => {
    room = new LogRoom();
    docker = room.docker({ maxSize: 500, maxFile: 4 });
    logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await logs.reopen('c1');
    docker.write('two');
    await logs.drain('c1');
  });
  afterEach(() => room.dispose());

  const putBack = (): void => fs.renameSync(`${room.logPath}.old`, room.logPath);

  it('is noticed while dockbridge runs', async () => {
    putBack();
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
    docker.write('three');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two', 'three']);
    expect(room.messages.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('is noticed after a restart, and by the next reopen', async () => {
    await logs.close();
    putBack();
    const second = room.logs();
    second.resume();
    await second.follow(room.source);
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await second.reopen('c1');
    docker.write('three');
    await second.drain('c1');
    expect([...room.texts(`${room.logPath}.old`), ...room.texts()]).toEqual(['one', 'two', 'three']);
  });

  it('causes a gap if the spool has wrapped in the meantime', async () => {
    await logs.close();
    for (let i = 0; i < 60; i++) docker.write(`line ${i}`);
    putBack();
    const second = room.logs();
    await second.follow(room.source);
    await second.drain('c1');
    const [one, gap, ...rest] = room.texts();
    expect([one, gap]).toEqual(['one', expect.stringMatching(/^dockbridge: gap/)]);
    expect(rest.at(-1)).toBe('line 59');
  });

  it('causes a gap followed by all contents of the spool, if the spool wrapped while dockbridge ran', async () => {
    for (let i = 0; i < 60; i++) docker.write(`line ${i}`);
    await logs.drain('c1');
    const written = [...room.texts(), 'last'];
    putBack();
    docker.write('last');
    await logs.drain('c1');
    const [one, gap, ...rest] = room.texts();
    expect([one, gap]).toEqual(['one', expect.stringMatching(/^dockbridge: gap/)]);
    expect(rest).toEqual(written.slice(-room.spooled().length));
  });

  it('is not assumed if the new log still exists under another name', async () => {
    fs.renameSync(room.logPath, `${room.logPath}.kept`);
    putBack();
    docker.write('three');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
    expect(room.texts(`${room.logPath}.kept`)).toEqual(['two', 'three']);
  });
});
