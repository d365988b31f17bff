import * as fs from 'node:fs';
import { nodeLogDisk, type LogDisk } from '../../../src/logs/log-disk';
import { SpoolChain } from '../../../src/logs/spool-chain';
import { LogRoom } from './support/log-room';
import type { FakeDockerLog } from './support/fake-docker-log';

describe('SpoolChain', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  beforeEach(() => {
    room = new LogRoom();
    docker = room.docker({ maxFile: 4 });
    docker.write('file 0');
  });
  afterEach(() => room.dispose());

  /** Rotates, and writes the number of the rotation into the new file. */
  function rotate(): void {
    docker.rotate();
    docker.write(`file ${docker.rotations}`);
  }

  function contents(chain: SpoolChain): string[] {
    return chain.all().map(({ fd, gapBefore }) => {
      const bytes = Buffer.alloc(500);
      const length = nodeLogDisk.read(fd, bytes, 500, 0);
      return `${gapBefore ? 'gap, ' : ''}${/file \d+/.exec(bytes.toString('latin1', 0, length))?.[0]}`;
    });
  }

  function opened(disk: LogDisk = nodeLogDisk): SpoolChain {
    const chain = new SpoolChain(room.spoolPath, disk);
    chain.open(undefined);
    return chain;
  }

  it('opens the existing files, oldest first', () => {
    rotate();
    rotate();
    const chain = opened();
    expect(contents(chain)).toEqual(['file 0', 'file 1', 'file 2']);
    chain.close();
  });

  it('advances to one of its files, and always keeps the last', () => {
    rotate();
    rotate();
    const chain = opened();
    const [first, second] = chain.all();
    chain.advanceTo(second!);
    expect(contents(chain)).toEqual(['file 1', 'file 2']);
    expect([first!.ino, second!.ino].map((ino) => chain.has(ino))).toEqual([false, true]);
    chain.advanceTo(first!);
    expect(contents(chain)).toEqual(['file 2']);
    expect([chain.hasNext, chain.newest]).toEqual([false, chain.current]);
    chain.close();
    expect([chain.all(), chain.current]).toEqual([[], undefined]);
  });

  it('reports that there is no file yet', () => {
    fs.rmSync(room.spoolPath);
    expect(new SpoolChain(room.spoolPath, nodeLogDisk).open(undefined)).toBeUndefined();
  });

  it('keeps files that rotation has removed', () => {
    const chain = opened();
    for (let i = 0; i < 6; i++) {
      rotate();
      chain.refresh();
    }
    expect(contents(chain)).toEqual(['file 0', 'file 1', 'file 2', 'file 3', 'file 4', 'file 5', 'file 6']);
    chain.advance();
    expect(contents(chain)[0]).toBe('file 1');
    chain.close();
  });

  it('finds several rotations at once', () => {
    const chain = opened();
    rotate();
    rotate();
    rotate();
    chain.refresh();
    expect(contents(chain)).toEqual(['file 0', 'file 1', 'file 2', 'file 3']);
    chain.close();
  });

  it('marks a gap if rotation was faster', () => {
    const chain = opened();
    for (let i = 0; i < 7; i++) rotate();
    chain.refresh();
    expect(contents(chain)).toEqual(['file 0', 'gap, file 4', 'file 5', 'file 6', 'file 7']);
    chain.close();
  });

  it('holds only a few removed files, and marks the gap', () => {
    const chain = opened();
    for (let i = 0; i < 12; i++) {
      rotate();
      chain.refresh();
    }
    expect(contents(chain)).toEqual([
      'file 0',
      'gap, file 6',
      ...[7, 8, 9, 10, 11, 12].map((n) => `file ${n}`),
    ]);
    chain.close();
  });

  it('ignores the moment in which a rotation leaves no file', () => {
    rotate();
    rotate();
    const chain = opened();
    fs.renameSync(`${room.spoolPath}.2`, `${room.spoolPath}.3`);
    fs.renameSync(`${room.spoolPath}.1`, `${room.spoolPath}.2`);
    expect(contents(opened())).toEqual(['file 0', 'file 1', 'file 2']);
    fs.renameSync(room.spoolPath, `${room.spoolPath}.1`);
    chain.refresh();
    expect(contents(chain)).toEqual(['file 0', 'file 1', 'file 2']);
    docker.close();
    room.docker().write('file 3');
    chain.refresh();
    expect(contents(chain)).toEqual(['file 0', 'file 1', 'file 2', 'file 3']);
    chain.close();
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    'misses nothing if a rotation comes before disk call no. %d',
    (when) => {
      let calls = 0;
      const chain = opened({
        ...nodeLogDisk,
        openRead: (path) => {
          if (++calls === when) rotate();
          return nodeLogDisk.openRead(path);
        },
        inodeAt: (path) => {
          if (++calls === when) rotate();
          return nodeLogDisk.inodeAt(path);
        },
      });
      rotate();
      chain.refresh();
      rotate();
      chain.refresh();
      chain.refresh();
      expect(contents(chain)).toEqual(Array.from({ length: docker.rotations + 1 }, (_, i) => `file ${i}`));
      chain.close();
    },
  );

  it('recognizes a reused inode as another file', () => {
    const chain = opened();
    const { ino, birth } = chain.current!;
    chain.close();
    const other = opened();
    const bytes = Buffer.from('the last bytes that were read before');
    const saved = { ino, birth, offset: bytes.length, window: bytes.toString('base64') };
    expect(new SpoolChain(room.spoolPath, nodeLogDisk).open(saved)).toBe(false);
    expect(new SpoolChain(room.spoolPath, nodeLogDisk).open({ ino, birth: '1', offset: 0, window: '' })).toBe(
      false,
    );
    expect(new SpoolChain(room.spoolPath, nodeLogDisk).open({ ino, birth, offset: 0, window: '' })).toBe(
      true,
    );
    other.close();
  });
});
