import type { Entry } from '../../../src/harness/tape/entry';
import { packed, unpacked, type Piece } from '../../../src/harness/wire/pieces';
import { WireLog } from '../../../src/harness/wire/wire-log';

let room: number;
let lost: number;
let written: Piece[];
let log: WireLog;

beforeEach(() => {
  [room, lost, written] = [Infinity, 0, []];
  log = new WireLog({
    now: () => 1.25,
    takes: (bytes) => bytes <= room,
    lose: (count) => void (lost += count),
    write: (entry: Entry) => {
      if (entry.kind === 'wire') written.push(...unpacked(entry.bytes));
    },
  });
});
afterEach(() => log.flush());

const bytes = (connection: number, from: 'client' | 'runtime', text: string, spentMs = NaN): Piece => ({
  ...{ kind: 'bytes', connection, t: 1.25, from, spentMs, bytes: Buffer.from(text) },
});

it('pieces are read as they were packed', () => {
  const pieces: Piece[] = [
    bytes(1, 'client', 'abc', 0.5),
    bytes(4_000_000_000, 'runtime', ''),
    { kind: 'closed', connection: 2, t: 1e9, by: 'client' },
    { kind: 'closed', connection: 2, t: 0.1, by: 'runtime' },
    { kind: 'closed', connection: 2, t: 0.1, by: 'proxy' },
    { kind: 'torn', connection: 3, t: 0 },
  ];
  expect([...unpacked(packed(pieces))]).toEqual(pieces);
  expect(packed(pieces).buffer.byteLength).toBe(packed(pieces).byteLength);
});

it('pieces of all connections are in order, with the time that they spent in the proxy', () => {
  const [one, other] = [log.follow(), log.follow()];
  one.passing('client', Buffer.from('a'))?.(0.25);
  other.passing('client', Buffer.from('b'));
  one.passing('runtime', Buffer.from('c'))?.(0.5);
  one.closed('client', 1);
  log.flush();
  expect(written).toEqual([
    bytes(1, 'client', 'a', 0.25),
    bytes(2, 'client', 'b'),
    bytes(1, 'runtime', 'c', 0.5),
    { kind: 'closed', connection: 1, t: 1, by: 'client' },
  ]);
});

it('pieces are passed on as soon as they exceed about a mebibyte', () => {
  const tap = log.follow();
  for (let at = 0; at < 20; at++) tap.passing('client', Buffer.alloc(60_000));
  expect(written).toHaveLength(18);
});

it('a piece that does not fit ends the recording of its own connection, and of no other', () => {
  const [torn, going, unknown] = [log.follow(), log.follow(), log.follow()];
  torn.passing('client', Buffer.from('a'));
  room = 0;
  expect(torn.passing('client', Buffer.from('lost'))).toBeUndefined();
  expect(unknown.passing('client', Buffer.from('lost'))).toBeUndefined();
  unknown.closed('client', 2);
  room = Infinity;
  // Bytes after a gap could not be read.
  expect(torn.passing('runtime', Buffer.from('b'))).toBeUndefined();
  going.passing('client', Buffer.from('c'));
  torn.closed('runtime', 3);
  log.flush();
  expect(written).toEqual([
    bytes(1, 'client', 'a'),
    { kind: 'torn', connection: 1, t: 1.25 },
    bytes(2, 'client', 'c'),
    { kind: 'closed', connection: 1, t: 3, by: 'runtime' },
  ]);
  // The tape has no record of the third connection, so its loss is counted at once.
  expect(lost).toBe(1);
});
