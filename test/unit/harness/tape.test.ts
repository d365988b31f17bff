import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TapeFile } from '../../../src/harness/tape/tape-file';
import type { TapeHeader, TapeLine } from '../../../src/harness/tape/format';
import { TapeLines } from '../../../src/harness/tape/lines';
import { TapeReader } from '../../../src/harness/tape/reader';
import { Recorder, type RecorderOptions } from '../../../src/harness/tape/recorder';
import { hider } from '../../../src/harness/tape/redact';
import { cri } from '../../../src/proto';
import { startSourceWorker } from '../support/source-worker';

const HEAD: TapeHeader = {
  tape: 1,
  recorded: '2026-11-29T00:00:00.000Z',
  by: 'dockbridge test',
  upstream: { endpoint: 'unix:///run/x.sock' },
  redacted: [],
};
const path = (method: string, service = 'RuntimeService'): string => `/runtime.v1.${service}/${method}`;
const bytesOf = (bytes: Uint8Array): { length: number; compressed: boolean; bytes: Uint8Array } => ({
  length: bytes.length,
  compressed: false,
  bytes: new Uint8Array(bytes),
});

let directory: string;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-tape-'))));
afterEach(() => rm(directory, { recursive: true, force: true }));

const hide = hider(Buffer.from('key'));
const SECRET = 'swordfish';

function begin(lines: TapeLines, method: string, request: Uint8Array, service?: string): string {
  return lines.textOf({
    ...{ kind: 'begin', n: 1, t: 0.5, path: path(method, service), metadata: { authorization: SECRET } },
    request: bytesOf(request),
  });
}

function end(lines: TapeLines, method: string, response: Uint8Array): string {
  return lines.textOf({
    ...{ kind: 'end', n: 1, t: 1, path: path(method), status: 'OK', ms: 500 },
    response: bytesOf(response),
  });
}

it.each([
  [
    'credentials of a pull',
    (lines: TapeLines) =>
      begin(
        lines,
        'PullImage',
        cri.PullImageRequest.encode({
          image: { image: 'web:1' },
          auth: {
            ...{ username: SECRET, password: SECRET, auth: SECRET, server_address: SECRET },
            ...{ identity_token: SECRET, registry_token: SECRET },
          },
        }).finish(),
        'ImageService',
      ),
  ],
  [
    'values of environment variables',
    (lines: TapeLines) =>
      begin(
        lines,
        'CreateContainer',
        cri.CreateContainerRequest.encode({
          config: { envs: [{ key: 'TOKEN', value: Buffer.from(SECRET) }], image: { image: 'web:1' } },
          sandbox_config: {
            annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"env":"${SECRET}"}` },
          },
        }).finish(),
      ),
  ],
  [
    'verbose information',
    (lines: TapeLines) =>
      end(
        lines,
        'ContainerStatus',
        cri.ContainerStatusResponse.encode({
          status: { id: 'web:1' },
          info: { info: `{"config":{"envs":["${SECRET}"]}}` },
        }).finish(),
      ),
  ],
  [
    'the address of an exec',
    (lines: TapeLines) =>
      end(lines, 'Exec', cri.ExecResponse.encode({ url: `http://web:1/exec/${SECRET}` }).finish()),
  ],
  [
    'a user name and a password in a URL',
    (lines: TapeLines) =>
      end(lines, 'Exec', cri.ExecResponse.encode({ url: `http://me:${SECRET}@web:1/exec/x` }).finish()),
  ],
  [
    'fields that the proto does not know',
    (lines: TapeLines) => {
      const known = cri.ContainerStatusResponse.encode({ status: { id: 'web:1' } }).finish();
      const field = Buffer.from([0x9a, 0x06, SECRET.length, ...Buffer.from(SECRET)]);
      return end(lines, 'ContainerStatus', Buffer.concat([known, field]));
    },
  ],
])('a tape hides %s and keeps the rest, and --unsafe-full keeps everything', (_, make) => {
  const text = make(new TapeLines(hide));
  expect(text).toContain('web:1');
  expect(text).toContain('hidden:');
  const tells = (line: string): boolean =>
    line.includes(SECRET) || line.includes(Buffer.from(SECRET).toString('base64').slice(0, 11));
  expect(tells(text)).toBe(false);
  const full = make(new TapeLines(undefined));
  expect(full).not.toContain('hidden:');
  const inBase64 = [0, 1, 2].some((shift) =>
    full.includes(
      Buffer.concat([Buffer.alloc(shift), Buffer.from(SECRET)])
        .toString('base64')
        .slice(4, 10),
    ),
  );
  expect(tells(full) || inBase64).toBe(true);
});

it('equal values have equal hashes with the same key', () => {
  expect(hide('a')).toBe(hide('a'));
  expect(hide('a')).not.toBe(hide('b'));
  expect(hide('a')).not.toBe(hider(Buffer.from('other'))('a'));
});

it('short output of a command stays, and long output is cut', () => {
  const of = (size: number): unknown =>
    JSON.parse(
      end(
        new TapeLines(hide),
        'ExecSync',
        cri.ExecSyncResponse.encode({ stdout: Buffer.alloc(size, 'x'), exit_code: 3 }).finish(),
      ),
    );
  const short = Buffer.alloc(256, 'x').toString('base64');
  expect(of(256)).toMatchObject({ response: { stdout: short, exit_code: 3 } });
  expect(of(257)).toMatchObject({
    response: { stdout: { head: short, bytes: 257, hash: expect.stringMatching(/^hidden:/) as string } },
  });
});

it('an unreadable message loses neither the call nor the tape', () => {
  const lines = new TapeLines(hide);
  expect(JSON.parse(end(lines, 'Version', Buffer.from([0x0a, 0x09])))).toMatchObject({
    status: 'OK',
    response: { '@unread': expect.any(String) as string, length: 2 },
  });
  expect(JSON.parse(end(lines, 'Nonsense', Buffer.from([1])))).toMatchObject({
    response: { '@unread': 'the method is unknown' },
  });
  const compressed = { ...bytesOf(Buffer.from([1])), compressed: true };
  expect(
    lines.lineOf({
      kind: 'message',
      n: 1,
      t: 0,
      path: path('GetContainerEvents'),
      i: 0,
      message: compressed,
    }),
  ).toMatchObject({ message: { '@unread': 'it is compressed' } });
});

async function read(text: string): Promise<{ lines: TapeLine[]; problems: string[] }> {
  const pieces = (async function* () {
    // The pieces end at arbitrary bytes.
    for (let at = 0; at < text.length; at += 7) yield Buffer.from(text.slice(at, at + 7));
    await Promise.resolve();
  })();
  const reader = new TapeReader('x.tape', pieces);
  const lines: TapeLine[] = [];
  await reader.read(
    () => undefined,
    (line) => void lines.push(line),
  );
  return { lines, problems: reader.problems.map(({ line, why }) => `${line} ${why}`) };
}

const CALL = '{"n":1,"t":0,"method":"Version","api":"v1"}';
const END = '{"t":9,"end":true,"calls":1,"lost":0}';
const whole = (...lines: string[]): string => [JSON.stringify(HEAD), ...lines, ''].join('\n');

it('a complete tape has no problems', async () => {
  expect(await read(whole(CALL, END))).toEqual({
    lines: [JSON.parse(CALL) as object, JSON.parse(END) as object],
    problems: [],
  });
});

it('a truncated tape is read as far as it goes', async () => {
  const { lines, problems } = await read(whole(CALL, END).slice(0, -20));
  expect(lines).toHaveLength(1);
  expect(problems).toEqual([
    '3 is cut off',
    expect.stringContaining('3 is the last line but not the end of a tape'),
  ]);
  expect((await read(whole(CALL))).problems).toEqual([expect.stringContaining('2 is the last line')]);
});

it('damaged lines are named, and the others are read', async () => {
  const { lines, problems } = await read(whole('\0\0\0', CALL, '{"n":"x"}', '[]', END, CALL));
  expect(lines).toHaveLength(3);
  expect(problems).toEqual([
    '2 is not a JSON object',
    '4 is not a line of a tape',
    '5 is not a JSON object',
    '7 comes after the end of the tape',
  ]);
});

it.each([
  { t: 1, lost: 'all' },
  { t: 1, end: true, calls: 0, lost: null },
  { t: 1, fault: {}, rule: 0 },
  { t: 1, fault: 'hang', n: '1' },
  { t: 1, n: 1, method: 'Version', status: 'OK', ms: 1, details: 5 },
  { t: 1, n: 1, method: 'Version', status: 'OK', ms: 1, by: [] },
  { t: 1, n: 1, method: 'Version', status: 'OK' },
  { t: 1, n: 1, method: 'Version', api: {} },
  { t: 1, n: 1, method: 'Version', deadline_ms: '1s' },
  { t: 1, n: 1, method: 5, message: {} },
  { t: '1', n: 1, method: 'Version' },
  { t: 1 },
])('an invalid line is a problem: %j', async (line) => {
  const { lines, problems } = await read(whole(JSON.stringify(line), END));
  expect(lines).toHaveLength(1);
  expect(problems[0]).toBe('2 is not a line of a tape');
});

it('a line with endless nesting is a problem, and the others are read', async () => {
  const deep = `{"n":2,"t":1,"method":"X","request":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
  const { lines, problems } = await read(whole(CALL, deep, END));
  expect(lines).toHaveLength(2);
  expect(problems).toEqual(['3 is nested deeper than 100 levels']);
});

it.each([
  ['', 'x.tape is empty: it is not a tape'],
  ['{"foo":1}\n', "x.tape is not a tape: its first line is not a tape's head"],
  [`\x7fELF${'\0'.repeat(100_000)}`, 'x.tape is not a tape'],
  ['{"tape":1,"recorded":"x"}\n', 'x.tape is not a tape'],
  ['{"tape":1,"recorded":"x","upstream":{"endpoint":{}}}\n', 'x.tape is not a tape'],
  ['{"tape":2,"recorded":"x"}\n', 'x.tape is a tape of version 2, but this dockbridge reads version 1'],
])('a file that is not a tape is refused: %j', async (text, why) => {
  await expect(read(text)).rejects.toThrow(why);
});

it('only its owner can read a tape', async () => {
  const file = join(directory, 'a.tape');
  TapeFile.create(file, HEAD).close();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

const ENTRY = require.resolve('../../../src/harness/tape/worker-entry');

async function open(
  more: Partial<RecorderOptions> = {},
): Promise<{ recorder: Recorder; file: string; said: string[] }> {
  const file = join(directory, 'b.tape');
  const said: string[] = [];
  const recorder = await Recorder.open(ENTRY, {
    ...{ file, header: HEAD, full: false, startWorker: startSourceWorker },
    warn: (text) => void said.push(text),
    ...more,
  });
  return { recorder, file, said };
}

function write(recorder: Recorder, n: number, size = 10): void {
  const message = bytesOf(cri.ContainerEventResponse.encode({ container_id: 'x'.repeat(size) }).finish());
  recorder.write({ kind: 'message', n, t: recorder.now(), path: path('GetContainerEvents'), i: 0, message });
}

async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

it('the recorder writes the head, the entries and the end in this order', async () => {
  const { recorder, file, said } = await open();
  for (let n = 1; n <= 1000; n++) write(recorder, n);
  expect(await recorder.finish()).toEqual({ lost: 0, bytes: (await stat(file)).size, isWhole: true });
  const [head, ...lines] = await linesOf(file);
  expect(head).toEqual(HEAD);
  expect(lines.slice(0, -1).map(({ n }) => n)).toEqual(Array.from({ length: 1000 }, (_, at) => at + 1));
  expect(lines.at(-1)).toMatchObject({ end: true, lost: 0 });
  expect(said).toEqual([]);
});

it('lines that the disk does not accept in time are lost, and the tape says where they are missing', async () => {
  const { recorder, file, said } = await open({ maxWaitingBytes: 10_000 });
  // The disk accepts nothing within one turn of the event loop.
  for (let n = 1; n <= 5; n++) write(recorder, n, 4_000);
  expect(said).toEqual(['the disk is too slow, and lines are being lost']);
  while (said.length < 2) await new Promise((resolve) => setImmediate(resolve));
  write(recorder, 6, 4_000);
  expect((await recorder.finish()).lost).toBe(3);
  const lines = await linesOf(file);
  expect(lines.slice(1).map(({ n, lost }) => n ?? { lost })).toEqual([1, 2, { lost: 3 }, 6, { lost: 3 }]);
  expect(said[1]).toBe('the tape is being written again');
});

it('no tape is overwritten', async () => {
  await writeFile(join(directory, 'b.tape'), 'precious');
  await expect(open()).rejects.toThrow(/^cannot write the tape: EEXIST/);
  expect(await readFile(join(directory, 'b.tape'), 'utf8')).toBe('precious');
});
