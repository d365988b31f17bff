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
    'may be impossible to save (%s), and the log continues and catches up',
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
      // A kill now leaves no saved position. The last line says where to continue.
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

  it("lead to no duplicates after a kill, even if they are older than kubelet's rotation", async () => {
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
    // Afterwards, as after a kill, the first copier gets no more calls.
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

  it('have their half-written files removed', () => {
    fs.mkdirSync(room.stateDir, { recursive: true });
    fs.writeFileSync(join(room.stateDir, 'c9.json.tmp'), '{');
    room.logs();
    expect(fs.readdirSync(room.stateDir)).toEqual([]);
  });

  it('are kept while the spool is missing, even through a reopen', async () => {
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
