import * as fs from 'node:fs';
import { join } from 'node:path';
import { ALL_POSITIONS, WorkMarker } from '../../../src/logs/hang-watch';
import type { LogCopier } from '../../../src/logs/log-copier';
import { nodeLogDisk, type LogDisk } from '../../../src/logs/log-disk';
import { LogRoom } from './support/log-room';

/** Records each file call, and the container that the marker showed during it. */
function watchedDisk(marker: WorkMarker, seen: Map<string, Set<string | undefined>>): LogDisk {
  return new Proxy(nodeLogDisk, {
    get(disk, name: keyof LogDisk) {
      const call = (disk[name] as (...parameters: unknown[]) => unknown).bind(disk);
      return (...parameters: unknown[]): unknown => {
        const { container } = marker.look();
        seen.set(name, (seen.get(name) ?? new Set<string | undefined>()).add(container));
        return call(...parameters);
      };
    },
  });
}

describe('a thread that hangs in any file call is reported with the container', () => {
  let room: LogRoom;
  let seen: Map<string, Set<string | undefined>>;
  let logs: LogCopier;

  beforeEach(() => {
    room = new LogRoom();
    seen = new Map();
  });
  afterEach(() => room.dispose());

  const open = (): LogCopier => {
    const marker = new WorkMarker();
    return (logs = room.logs({ marker, disk: watchedDisk(marker, seen) }));
  };
  const unmarked = (): string[] => [...seen].filter(([, of]) => of.has(undefined)).map(([name]) => name);

  it('at its start, when it removes files that a kill during a save has left', () => {
    fs.mkdirSync(room.stateDir, { recursive: true });
    fs.writeFileSync(join(room.stateDir, 'c7.json.tmp'), '');
    open().resume();
    expect(fs.readdirSync(room.stateDir)).toEqual([]);
    expect(unmarked()).toEqual([]);
    expect(seen.get('list')).toEqual(new Set([ALL_POSITIONS]));
    // Another worker must not save a position of this container before the removal has ended.
    expect(seen.get('remove')).toEqual(new Set(['c7']));
  });

  it('in every operation on a log', async () => {
    const docker = room.docker();
    docker.write('line 1');
    await open().follow(room.source);
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.1`);
    await logs.reopen('c1');
    docker.write('line 2');
    await logs.drain('c1');
    await logs.close();
    open().resume();
    await logs.salvage(room.source);
    expect(room.texts()).toEqual(['line 2']);
    await logs.retain(new Set(['c2']));
    await logs.note({ ...room.source, containerId: 'c3', logPath: `${room.logPath}.3` }, 'a note');
    await logs.forget('c1');
    expect(unmarked()).toEqual([]);
  });
});
