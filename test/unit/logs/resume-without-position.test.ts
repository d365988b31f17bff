import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { nodeLogDisk } from '../../../src/logs/log-disk';
import { findLastLine } from '../../../src/logs/resume';
import { TranslationBuffers } from '../../../src/logs/json-file-to-cri';
import { WorkMarker } from '../../../src/logs/hang-watch';
import { withLogRoom, type LogRoom } from './support/log-room';

describe('a log whose saved position is lost', () => {
  let room: LogRoom;
  withLogRoom((made) => (room = made));

  async function copyAll(): Promise<void> {
    const logs = room.logs();
    await logs.follow(room.source);
    await logs.drain('c1');
    await logs.close();
  }

  it.each([0, 1, 2, 3, 4, 5, 7, 10, 11])('continues after the last of %d lines in the log', async (kept) => {
    const docker = room.docker({ maxSize: 300, maxFile: 9 });
    const expected: string[] = [];
    for (let i = 0; i < 12; i++) {
      expected.push(`line ${i}`);
      docker.write(`line ${i}`, 'stdout', i % 3 === 1);
    }
    await copyAll();
    const lines = room.content().split('\n').slice(0, kept);
    fs.writeFileSync(
      room.logPath,
      lines.map((line) => `${line}\n`).join('') + (kept > 3 ? '2023-11-14T22:1' : ''),
    );
    fs.rmSync(room.stateDir, { recursive: true });
    await copyAll();
    expect(room.texts()).toEqual(expected);
  });

  it('counts parts that have the same time', async () => {
    const docker = room.docker();
    const time = '2026-11-22T03:55:00.1Z';
    for (const part of ['a', 'b', 'c', 'd\\n', 'e\\n']) {
      docker.raw(`{"log":"${part}","stream":"stdout","time":"${time}"}\n`);
    }
    await copyAll();
    const lines = room.content().split('\n');
    fs.writeFileSync(room.logPath, `${lines.slice(0, 3).join('\n')}\n`);
    fs.rmSync(room.stateDir, { recursive: true });
    await copyAll();
    expect(room.content()).toBe(lines.join('\n'));
  });

  it('appends to the file that an earlier container left at the path', async () => {
    fs.mkdirSync(dirname(room.logPath), { recursive: true });
    fs.writeFileSync(room.logPath, '2020-01-01T00:00:00.000000000Z stdout F earlier\n');
    room.docker().write('mine');
    await copyAll();
    expect(room.texts()).toEqual(['earlier', 'mine']);
  });

  it('replaces a symlink to another file, and does not write through it', async () => {
    room.docker().write('one');
    const other = `${room.root}/other`;
    fs.writeFileSync(other, 'precious');
    fs.mkdirSync(dirname(room.logPath), { recursive: true });
    fs.symlinkSync(other, room.logPath);
    await copyAll();
    expect(fs.lstatSync(room.logPath).isFile()).toBe(true);
    expect(room.texts()).toEqual(['one']);
    expect(fs.readFileSync(other, 'utf8')).toBe('precious');
  });

  it('treats a damaged position like a missing one', async () => {
    room.docker().write('one');
    await copyAll();
    fs.writeFileSync(`${room.stateDir}/c1.json`, '{"version":1,"log":{"ino":3');
    await copyAll();
    expect(room.texts()).toEqual(['one']);
  });
});

it('the search for the last line reports progress, however long the spool is', () => {
  const marker = new WorkMarker();
  const turns: number[] = [];
  const disk = {
    ...nodeLogDisk,
    read: (_fd: number, into: Uint8Array) => {
      turns.push(marker.look().turn);
      return turns.length < 5 ? into.length : 0;
    },
  };
  const file = { fd: 0, ino: '1', birth: '1', gapBefore: false };
  const tail = Buffer.from('2026-11-22T03:55:00.100000000Z stdout F last\n');
  const parts = { disk, buffers: new TranslationBuffers(), marker };
  expect(marker.during('c1', () => findLastLine(tail, [file], parts))).toBeUndefined();
  expect(new Set(turns).size).toBe(5);
});

describe('the search for the last line', () => {
  const LAST = '2026-11-22T03:55:00.2Z';
  const record = (text: string, time: string): string =>
    `{"log":"${text}\\n","stream":"stdout","time":"${time}"}\n`;
  const before = record('first', '2026-11-22T03:55:00.1Z') + record('a', LAST) + record('b', LAST);
  const spool = Buffer.from(before + record('next', '2026-11-22T03:55:00.3Z'));
  const disk = {
    ...nodeLogDisk,
    read: (_fd: number, into: Uint8Array, length: number, position: number) =>
      spool.copy(into, 0, position, position + length),
  };
  const file = { fd: 0, ino: '1', birth: '1', gapBefore: false };
  const line = (text: string): string => `2026-11-22T03:55:00.200000000Z stdout F ${text}\n`;

  it.each([
    { held: 1, tail: line('a'), end: before.length - record('b', LAST).length },
    { held: 2, tail: line('a') + line('b'), end: before.length },
  ])('finds line $held of two with the same time, wherever the reads split it', ({ tail, end }) => {
    const shortest = `"time":"${LAST}"}\n`.length;
    for (let bytes = shortest; bytes <= spool.length + 1; bytes++) {
      const parts = { disk, buffers: new TranslationBuffers(bytes), marker: new WorkMarker() };
      const found = parts.marker.during('c1', () => findLastLine(Buffer.from(tail), [file], parts));
      expect([bytes, found]).toEqual([bytes, { file, offset: end }]);
    }
  });
});
