import * as fs from 'node:fs';
import { withLogRoom, type LogRoom } from './support/log-room';
import { readAsKubelet, type Output, type ReadOptions } from './support/kubelet-reader';

describe("kubelet's reader", () => {
  let room: LogRoom;
  withLogRoom((made) => (room = made));

  const record = (text: string, stream: string, time: string): string =>
    `${JSON.stringify({ log: text, stream, time })}\n`;

  async function copied(records: readonly string[], options?: ReadOptions): Promise<Output> {
    const docker = room.docker();
    for (const each of records) docker.raw(each);
    docker.close();
    const logs = room.logs();
    await logs.follow(room.source);
    await logs.drain('c1');
    return readAsKubelet(fs.readFileSync(room.logPath), options);
  }

  const seconds = [0, 1, 2, 3].map((n) => `2026-11-22T03:55:0${n}.5Z`);
  const four = seconds.map((time, n) => record(`line ${n}\n`, n === 1 ? 'stderr' : 'stdout', time));

  it('finds nine digits in every time, whatever Docker cut off', async () => {
    const times = ['05:00Z', '05:00.1Z', '05:00.12Z', '05:00.123456Z', '05:00.123456789Z'];
    await copied(times.map((time) => record('x\n', 'stdout', `2026-11-22T03:${time}`)));
    expect(room.lines().map(({ time }) => time.slice(20))).toEqual([
      '000000000Z',
      '100000000Z',
      '120000000Z',
      '123456000Z',
      '123456789Z',
    ]);
  });

  it('separates the streams', async () => {
    expect(await copied(four)).toEqual({ stdout: 'line 0\nline 2\nline 3\n', stderr: 'line 1\n' });
  });

  it('joins the parts of a long line, even if the other stream comes between them', async () => {
    const [time = ''] = seconds;
    const parts = [
      record('a'.repeat(16384), 'stdout', time),
      record('between\n', 'stderr', time),
      record('b'.repeat(16384), 'stdout', time),
      record('end\n', 'stdout', time),
      record('no line break at the end of all', 'stdout', time),
    ];
    expect(await copied(parts)).toEqual({
      stdout: `${'a'.repeat(16384)}${'b'.repeat(16384)}end\nno line break at the end of all`,
      stderr: 'between\n',
    });
  });

  it('keeps blanks, empty lines, carriage returns and text that looks like a header', async () => {
    const texts = [
      '\n',
      ' \n',
      '  two blanks\n',
      'a\r\n',
      '2026-11-22T03:55:00.5Z stdout F x\n',
      '\ttab\u0000\n',
    ];
    const { stdout } = await copied(texts.map((text) => record(text, 'stdout', seconds[0] ?? '')));
    expect(stdout).toBe(texts.join(''));
  });

  it.each([
    [0, ''],
    [1, 'line 3\n'],
    [3, 'line 2\nline 3\n'],
    [99, 'line 0\nline 2\nline 3\n'],
  ])('shows the last %d lines', async (tail, stdout) => {
    expect((await copied(four, { tail })).stdout).toBe(stdout);
  });

  it.each([
    ['2026-11-22T03:55:02.500000000Z', 'line 2\nline 3\n'],
    ['2026-11-22T03:55:02.500000001Z', 'line 3\n'],
    ['2026-11-22T03:55:04.000000000Z', ''],
  ])('shows the output since %s', async (since, stdout) => {
    expect((await copied(four, { since })).stdout).toBe(stdout);
  });

  it('can read the lines that dockbridge adds', async () => {
    const docker = room.docker({ maxSize: 200, maxFile: 2 });
    const first = room.logs();
    docker.write('seen');
    await first.follow(room.source);
    await first.drain('c1');
    await first.close();
    for (let n = 0; n < 20; n++) docker.write(`line ${n}`);
    docker.raw('no json\n');
    const second = room.logs();
    await second.follow(room.source);
    await second.drain('c1');
    expect(readAsKubelet(fs.readFileSync(room.logPath)).stderr.split('\n')).toEqual([
      expect.stringMatching(/^dockbridge: gap: /),
      expect.stringMatching(/^dockbridge: a record of 7 bytes .* unreadable$/),
      '',
    ]);
  });
});
