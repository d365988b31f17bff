import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { withUmaskOfADaemon } from '../support/umask';
import { FakeDockerLog } from './support/fake-docker-log';
import { withLogRoom, type LogRoom } from './support/log-room';

describe('LogCopier', () => {
  withUmaskOfADaemon();
  let room: LogRoom;
  withLogRoom((made) => (room = made));

  it('creates the file before follow resolves, even if the spool does not exist yet', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    expect(fs.statSync(room.logPath).mode & 0o777).toBe(0o640);
    expect(fs.statSync(dirname(room.logPath)).mode & 0o777).toBe(0o755);
    const docker = room.docker();
    docker.write('late');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['late']);
  });

  it('copies streams, partial lines and empty lines in order', async () => {
    const docker = room.docker();
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    docker.write('two', 'stderr');
    docker.write('');
    docker.write('long', 'stdout', true);
    docker.write('end');
    await logs.drain('c1');
    expect(room.lines().map(({ stream, tag, text }) => [stream, tag, text])).toEqual([
      ['stdout', 'F', 'one'],
      ['stderr', 'F', 'two'],
      ['stdout', 'F', ''],
      ['stdout', 'P', 'long'],
      ['stdout', 'F', 'end'],
    ]);
  });

  it('reports how far it is behind', async () => {
    const docker = room.docker();
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    expect((await logs.stats()).lagBytes).toBe(0);
    // The question is asked in the same turn, before anything can be copied.
    const behind = docker.write('two').length;
    const stats = logs.stats();
    expect((await stats).lagBytes).toBe(behind);
    await logs.drain('c1');
    expect(await logs.stats()).toMatchObject({ lagBytes: 0, records: 2 });
  });

  it('reports the lag of the container that is furthest behind', async () => {
    const logs = room.logs();
    fs.mkdirSync(join(room.root, 'docker/c2'));
    const spoolPath = join(room.root, 'docker/c2/c2-json.log');
    const logPath = join(room.root, 'pods/ns_pod_uid/app/1.log');
    const dockers = [room.docker(), new FakeDockerLog(spoolPath)];
    await logs.follow(room.source);
    await logs.follow({ containerId: 'c2', spoolPath, logPath });
    const behind = dockers.map((docker, at) => docker.write('x'.repeat(10 * (at + 1))).length);
    const { lagBytes, largestLagBytes } = await logs.stats();
    expect([lagBytes, largestLagBytes]).toEqual([behind[0]! + behind[1]!, behind[1]]);
  });

  it('continues from the saved position after close', async () => {
    const docker = room.docker();
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.drain('c1');
    await first.close();
    docker.write('two');
    const second = room.logs();
    await second.follow(room.source);
    await second.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
  });

  it('reopens after a rename', async () => {
    const docker = room.docker();
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    const rotated = `${room.logPath}.20260101-000000`;
    fs.renameSync(room.logPath, rotated);
    await logs.reopen('c1');
    expect(room.content()).toBe('');
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts(rotated)).toEqual(['one']);
    expect(room.texts()).toEqual(['two']);
  });

  it('refuses to reopen a log that it does not follow', async () => {
    await expect(room.logs().reopen('c1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('follows rotation of the spool', async () => {
    const docker = room.docker({ maxSize: 1000, maxFile: 4 });
    const logs = room.logs();
    await logs.follow(room.source);
    const expected: string[] = [];
    for (let i = 0; i < 500; i++) {
      expected.push(`line ${i}`);
      docker.write(`line ${i}`);
      if (i % 20 === 0) await logs.drain('c1');
    }
    await logs.drain('c1');
    expect(docker.rotations).toBeGreaterThan(20);
    expect(room.texts()).toEqual(expected);
  });

  it('removes the position of a forgotten container, and keeps that of a retained one', async () => {
    const logs = room.logs();
    room.docker().write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(fs.existsSync(join(room.stateDir, 'c1.json'))).toBe(true);
    await logs.retain(new Set(['c1']));
    expect(fs.existsSync(join(room.stateDir, 'c1.json'))).toBe(true);
    await logs.forget('c1');
    expect(fs.existsSync(join(room.stateDir, 'c1.json'))).toBe(false);
    expect(room.texts()).toEqual(['one']);
    await logs.drain('c1');
    await logs.forget('nobody');
  });

  it('allows a repeated close, and calls after it', async () => {
    const docker = room.docker();
    const logs = room.logs();
    await Promise.all([logs.follow(room.source), logs.follow(room.source)]);
    docker.write('one');
    await Promise.all([logs.drain('c1'), logs.drain('c1'), logs.reopen('c1'), logs.drain('c1')]);
    expect(room.texts()).toEqual(['one']);
    const pending = logs.drain('c1');
    await logs.close();
    await pending;
    await logs.close();
    await logs.drain('c1');
  });
});
