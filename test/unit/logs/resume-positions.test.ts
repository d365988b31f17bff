import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { nodeLogDisk, type LogDisk } from '../../../src/logs/log-disk';
import type { FakeDockerLog } from './support/fake-docker-log';
import { withLogRoom, type LogRoom } from './support/log-room';

describe('saved positions', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  withLogRoom((made) => {
    room = made;
    docker = room.docker({ maxSize: 500, maxFile: 3 });
  });

  it.each(['ENOSPC', 'EROFS'])(
    'goes on when positions cannot be saved (%s), and catches up',
    async (code) => {
      let full = true;
      const disk: LogDisk = {
        ...nodeLogDisk,
        replace: (path, text) => {
          if (full) throw Object.assign(new Error(`${code}: no`), { code });
          nodeLogDisk.replace(path, text);
        },
      };
      docker = room.docker();
      const logs = room.logs({ disk });
      await logs.follow(room.source);
      docker.write('one');
      await logs.drain('c1');
      fs.renameSync(room.logPath, `${room.logPath}.old`);
      await logs.reopen('c1');
      docker.write('two');
      await logs.drain('c1');
      expect([room.texts(`${room.logPath}.old`), room.texts()]).toEqual([['one'], ['two']]);
      expect(room.messages.map(({ level }) => level)).toEqual(['warn']);
      // Killed now, without a saved position: the last line tells where to go on.
      docker.write('three');
      const second = room.logs({ disk });
      second.resume();
      await second.follow(room.source);
      await second.drain('c1');
      expect(room.texts()).toEqual(['two', 'three']);
      full = false;
      docker.write('four');
      await second.drain('c1');
      await second.close();
      expect(fs.readdirSync(room.stateDir)).toEqual(['c1.json']);
      expect(room.messages.at(-1)).toMatchObject({ level: 'info' });
    },
  );

  it('doubles nothing when killed with a position older than a rotation by kubelet', async () => {
    let full = false;
    const disk: LogDisk = {
      ...nodeLogDisk,
      replace: (path, text) => {
        if (full) throw Object.assign(new Error('ENOSPC: no'), { code: 'ENOSPC' });
        nodeLogDisk.replace(path, text);
      },
    };
    docker = room.docker();
    const logs = room.logs({ disk });
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    full = true;
    docker.write('two');
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await logs.reopen('c1');
    docker.write('three');
    await logs.drain('c1');
    // As after a kill: the first one is not asked any more.
    const second = room.logs();
    docker.write('four');
    second.resume();
    await second.follow(room.source);
    await second.drain('c1');
    expect([room.texts(`${room.logPath}.old`), room.texts()]).toEqual([
      ['one', 'two'],
      ['three', 'four'],
    ]);
  });

  it('removes half-written position files', () => {
    fs.mkdirSync(room.stateDir, { recursive: true });
    fs.writeFileSync(join(room.stateDir, 'c9.json.tmp'), '{');
    room.logs();
    expect(fs.readdirSync(room.stateDir)).toEqual([]);
  });

  it('keeps a saved position while the spool is out of sight, even through a reopen', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.drain('c1');
    await first.close();
    fs.renameSync(dirname(room.spoolPath), join(room.root, 'hidden'));
    const second = room.logs();
    await second.follow(room.source);
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await second.reopen('c1');
    fs.renameSync(join(room.root, 'hidden'), dirname(room.spoolPath));
    docker.write('two');
    await second.drain('c1');
    expect(room.texts(`${room.logPath}.old`)).toEqual(['one']);
    expect(room.texts()).toEqual(['two']);
  });
});
