import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { asRoot } from '../support/root';
import type { FakeDockerLog } from './support/fake-docker-log';
import { withLogRoom, type LogRoom } from './support/log-room';

describe('the CRI log of a container', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  withLogRoom((made) => {
    room = made;
    docker = room.docker({ maxSize: 500, maxFile: 3 });
  });

  describe('is created again and does not block when a pod put another file in its place:', () => {
    const isMadeAnew = async (put: (path: string) => unknown) => {
      const logs = room.logs();
      await logs.follow(room.source);
      docker.write('one');
      await logs.drain('c1');
      put(`${room.logPath}.planted`);
      fs.renameSync(`${room.logPath}.planted`, room.logPath);
      docker.write('two');
      await logs.drain('c1');
      expect(room.texts()).toEqual(['two']);
      put(`${room.logPath}.planted`);
      fs.renameSync(`${room.logPath}.planted`, room.logPath);
      await logs.close();
      const second = room.logs();
      second.resume();
      await second.follow(room.source);
      docker.write('three');
      await second.drain('c1');
      expect(room.texts()).toEqual(['three']);
    };

    it('a FIFO', () => isMadeAnew((path) => execFileSync('mkfifo', [path])));
    it('a symlink', () => isMadeAnew((path) => fs.symlinkSync('/dev/null', path)));
    asRoot('a device', () => isMadeAnew((path) => execFileSync('mknod', [path, 'c', '1', '3'])));
  });

  it.each(['pods/ns_pod_uid', 'pods/ns_pod_uid/app'])(
    'follows no symlink in the place of %s, where pods may write',
    async (part) => {
      const elsewhere = join(room.root, 'elsewhere');
      fs.mkdirSync(elsewhere);
      fs.mkdirSync(dirname(join(room.root, part)), { recursive: true });
      fs.symlinkSync(elsewhere, join(room.root, part));
      const logs = room.logs();
      docker.write('one');
      await expect(logs.follow(room.source)).rejects.toMatchObject({
        code: 'INTERNAL',
        message: expect.stringContaining(`${part} is not a directory (a symlink`) as unknown,
      });
      expect(fs.readdirSync(elsewhere)).toEqual([]);
      fs.unlinkSync(join(room.root, part));
      await logs.drain('c1');
      expect(room.texts()).toEqual(['one']);
    },
  );

  it("follows symlinks above the pod's directory, because an administrator may have moved /var/log/pods", async () => {
    fs.mkdirSync(join(room.root, 'elsewhere'));
    fs.symlinkSync(join(room.root, 'elsewhere'), join(room.root, 'pods'));
    const logs = room.logs();
    docker.write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
  });

  it('is created again when it or its directory was removed', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    fs.rmSync(join(room.root, 'pods'), { recursive: true });
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['two']);
    fs.rmSync(room.logPath);
    await logs.reopen('c1');
    docker.write('three');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['three']);
  });

  it('keeps growing in the renamed file until it is reopened', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    docker.write('two');
    await logs.drain('c1');
    expect(fs.existsSync(room.logPath)).toBe(false);
    expect(room.texts(`${room.logPath}.old`)).toEqual(['one', 'two']);
  });

  it('cannot be followed while no file can be created, and continues when one can', async () => {
    fs.writeFileSync(join(room.root, 'pods'), 'in the way');
    const logs = room.logs();
    docker.write('one');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    await logs.drain('c1');
    fs.rmSync(join(room.root, 'pods'));
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
  });

  asRoot('survives a full disk: the trouble is logged once, and no line is lost or repeated', async () => {
    const small = join(room.root, 'small');
    fs.mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]);
    try {
      const source = { ...room.source, logPath: join(small, 'app/0.log') };
      const filler = join(small, 'filler');
      const logs = room.logs();
      await logs.follow(source);
      docker = room.docker();
      const expected = Array.from({ length: 400 }, (_, i) => `line ${i} ${'x'.repeat(60)}`);
      fs.writeFileSync(filler, Buffer.alloc(40_000));
      for (const text of expected) docker.write(text);
      await logs.drain('c1');
      const stalls = room.messages.filter(({ level }) => level === 'error');
      expect(stalls).toHaveLength(1);
      expect(stalls[0]?.fields).toMatchObject({
        container: 'c1',
        error: expect.stringContaining('ENOSPC') as unknown,
      });
      expect(expected.slice(0, room.texts(source.logPath).length)).toEqual(room.texts(source.logPath));
      await logs.drain('c1');
      expect(room.messages.filter(({ level }) => level === 'error')).toHaveLength(1);
      fs.rmSync(filler);
      await logs.drain('c1');
      expect(room.texts(source.logPath)).toEqual(expected);
      expect(room.messages.at(-1)).toMatchObject({ level: 'info' });
      expect(await logs.stats()).toMatchObject({ stalls: 1 });
      await logs.close();
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
