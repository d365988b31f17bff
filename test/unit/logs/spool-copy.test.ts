import * as fs from 'node:fs';
import { join } from 'node:path';
import type { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom } from './support/log-room';

/** '' for a descriptor that is closed meanwhile. */
function linkTarget(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return '';
  }
}

describe("the copy of a container's spool", () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  beforeEach(() => {
    room = new LogRoom();
    docker = room.docker({ maxSize: 500, maxFile: 3 });
  });
  afterEach(() => room.dispose());

  it('notices new lines by itself', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    for (let i = 0; i < 3; i++) {
      docker.write(`line ${i}`);
      await room.until(() => room.content().includes(`line ${i}`));
    }
    // Poll, inotify or the wait for either: whatever the copy is at, it must see this.
    await logs.drain('c1');
    docker.write('after the silence');
    await room.until(() => room.content().includes('after the silence'));
  });

  it('waits for the rest of a half-written record', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    const record = docker.write('whole');
    docker.raw(record.slice(0, 20));
    await logs.drain('c1');
    expect(room.texts()).toEqual(['whole']);
    docker.raw(record.slice(20));
    await logs.drain('c1');
    expect(room.texts()).toEqual(['whole', 'whole']);
  });

  it('notes a torn record at the end of a rotated file', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.raw('{"log":"torn');
    docker.rotate();
    docker.write('next');
    await logs.drain('c1');
    expect(room.texts()).toEqual([expect.stringMatching(/^dockbridge: .* torn$/), 'next']);
    expect(await logs.stats()).toMatchObject({ unreadable: 1 });
  });

  it('passes over a record that does not fit its memory, and notes it', async () => {
    const logs = room.logs({ bufferBytes: 4096 });
    await logs.follow(room.source);
    docker.write('before');
    docker.raw(`{"log":"${'x'.repeat(20_000)}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`);
    docker.write('after');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['before', expect.stringMatching(/^dockbridge: .* too long$/), 'after']);
  });

  it('writes a gap line when rotation passed by while nobody followed, and keeps what it had', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('seen');
    await first.drain('c1');
    await first.close();
    for (let i = 0; i < 40; i++) docker.write(`line ${i}`);
    const second = room.logs();
    await second.follow(room.source);
    await second.drain('c1');
    const texts = room.texts();
    expect(texts.slice(0, 2)).toEqual(['seen', expect.stringMatching(/^dockbridge: gap/)]);
    const rest = texts.slice(2);
    expect(rest.length).toBeGreaterThan(5);
    expect(rest).toEqual(Array.from({ length: rest.length }, (_, i) => `line ${40 - rest.length + i}`));
    expect(await second.stats()).toMatchObject({ gaps: 1 });
    expect(room.messages).toEqual([
      {
        level: 'warn',
        message: expect.any(String) as string,
        fields: { container: 'c1', logPath: room.logPath },
      },
    ]);
  });

  it.each([
    [-60_000, true],
    // Engine 28 took the time and then made the file.
    [-1_000, false],
    [60_000, false],
  ])(
    'sees by the start %d ms from now whether the spool wrapped before the first follow',
    async (ms, gap) => {
      docker.write('line');
      const logs = room.logs();
      await logs.follow({ ...room.source, startedAt: new Date(Date.now() + ms).toISOString() });
      await logs.drain('c1');
      expect(room.texts().some((text) => text.startsWith('dockbridge: gap'))).toBe(gap);
      expect(room.texts().at(-1)).toBe('line');
    },
  );

  it('writes a gap line when the spool was cut in place', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('a longer line than the next one');
    await logs.drain('c1');
    fs.truncateSync(room.spoolPath, 0);
    docker.write('short');
    await logs.drain('c1');
    expect(room.texts().slice(1)).toEqual([expect.stringMatching(/^dockbridge: gap/), 'short']);
    expect(await logs.stats()).toMatchObject({ records: 2, gaps: 1 });
  });

  it.each(['while it runs', 'while nobody follows'])(
    'writes a gap line when the spool was cut %s and grew beyond our place',
    async (when) => {
      let logs = room.logs();
      docker = room.docker();
      await logs.follow(room.source);
      docker.write('first');
      await logs.drain('c1');
      if (when !== 'while it runs') await logs.close();
      fs.truncateSync(room.spoolPath, 0);
      for (let i = 0; i < 20; i++) docker.write(`line ${i}`);
      if (when !== 'while it runs') {
        logs = room.logs();
        await logs.follow(room.source);
      }
      await logs.drain('c1');
      const [first, gap, ...rest] = room.texts();
      expect([first, gap]).toEqual(['first', expect.stringMatching(/^dockbridge: gap/)]);
      expect(rest).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i}`));
      expect(await logs.stats()).toMatchObject({ gaps: 1 });
    },
  );

  it('sees a spool that was cut and grew to the very same length', async () => {
    const logs = room.logs();
    docker = room.docker();
    await logs.follow(room.source);
    docker.write('first');
    await logs.drain('c1');
    fs.truncateSync(room.spoolPath, 0);
    docker.write('other');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['first', expect.stringMatching(/^dockbridge: gap/), 'other']);
  });

  it('keeps no spool open while it cannot go on', async () => {
    fs.writeFileSync(join(room.root, 'pods'), 'in the way');
    const logs = room.logs();
    docker.write('one');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    for (let retry = 0; retry < 5; retry++) await logs.drain('c1');
    const open = fs.readdirSync('/proc/self/fd').map((fd) => linkTarget(`/proc/self/fd/${fd}`));
    // The Engine's own, which is this process too.
    expect(open.filter((path) => path === room.spoolPath)).toHaveLength(1);
  });
});
