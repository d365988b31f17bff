import { getEventListeners } from 'node:events';
import { Duplex, PassThrough, Writable } from 'node:stream';
import { silentLogger } from '../../../../src/lib/logger';
import { Backlog, ClientOutput, copyStreams, followSizes } from '../../../../src/server/exec/client-streams';
import type { ClientStreams } from '../../../../src/streaming/backend';
import { TerminalSizes } from '../../../../src/streaming/remotecommand/terminal-sizes';
import { gate, settle, until } from '../../support/async';
import { engineFrame } from '../../support/engine-frame';

/** The Engine's end of a hijacked connection. `push` sends its output. */
class EngineConnection extends Duplex {
  heard = '';
  inputEnded = false;

  override _read(): void {
    // The test pushes the data.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.heard += chunk.toString();
    done();
  }

  override _final(done: () => void): void {
    this.inputEnded = true;
    done();
  }
}

describe('an exec session with the Engine', () => {
  let connection: EngineConnection;
  let client: Record<'stdin' | 'stdout' | 'stderr', PassThrough>;
  let left: AbortController;
  let done: Promise<void>;

  function begin(raw = false): void {
    connection = new EngineConnection();
    client = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    left = new AbortController();
    const output = new ClientOutput(client, new AbortController().signal, new Backlog());
    done = copyStreams(connection, client, output, left.signal, raw);
    done.catch(() => undefined);
  }

  const nothingIsLeft = (): void => {
    expect(connection.destroyed).toBe(true);
    expect(getEventListeners(left.signal, 'abort')).toEqual([]);
    // The client's later input is dropped, and its end causes nothing.
    expect([client.stdin.listenerCount('data'), client.stdin.listenerCount('end')]).toEqual([0, 0]);
  };

  it('passes on input and both outputs, and leaves no listener at its end', async () => {
    begin();
    client.stdin.write('in');
    connection.push(Buffer.concat([engineFrame(1, 'out'), engineFrame(2, 'err')]));
    await until(() => connection.heard === 'in', 'the input');
    connection.push(null);
    await done;
    expect([String(client.stdout.read()), String(client.stderr.read())]).toEqual(['out', 'err']);
    nothingIsLeft();
  });

  it('passes on the output of a terminal unchanged', async () => {
    begin(true);
    connection.push(Buffer.from('raw'));
    connection.push(null);
    await done;
    expect(String(client.stdout.read())).toBe('raw');
  });

  it.each<{ desc: string; end: () => unknown }>([
    { desc: 'ends', end: () => client.stdin.end() },
    { desc: 'resets', end: () => client.stdin.destroy() },
  ])('ends the input when the client $desc its own', async ({ end }) => {
    begin();
    end();
    await until(() => connection.inputEnded, 'the end of the input');
    connection.push(null);
    await done;
  });

  it('fails when the client leaves, or when the Engine breaks off in the middle of a frame', async () => {
    begin();
    left.abort(new Error('left'));
    await expect(done).rejects.toThrow('left');
    nothingIsLeft();
    begin();
    connection.push(engineFrame(1, 'out').subarray(0, 9));
    connection.push(null);
    await expect(done).rejects.toThrow();
    nothingIsLeft();
  });
});

it('terminal sizes are passed on one after the other, without outdated ones', async () => {
  const sizes = new TerminalSizes();
  const seen: number[] = [];
  const resized = gate();
  followSizes(
    { sizes } as ClientStreams,
    ({ width }) => {
      seen.push(width);
      return width === 1 ? resized.promise : Promise.reject(new Error('the process has ended'));
    },
    silentLogger,
  );
  for (const width of [1, 2, 3]) sizes.write(`{"Width":${width},"Height":9}`);
  await settle();
  expect(seen).toEqual([1]);
  resized.resolve();
  await settle();
  expect(seen).toEqual([1, 3]);
  sizes.write('{"Width":4,"Height":9}');
  await settle();
  expect(seen).toEqual([1, 3, 4]);
});

const LIMITS = { session: 1 << 20, all: 3 << 19, share: 1 << 17 };
const PIECE = Buffer.alloc(32 * 1024);

/** A client that takes a piece when the test says so. */
function slowClient(): { stdout: Writable; stderr: undefined; take: () => void } {
  let taken: (() => void) | undefined;
  const stdout = new Writable({ write: (_chunk, _encoding, done) => void (taken = done) });
  return { stdout, stderr: undefined, take: () => taken?.() };
}

describe('ClientOutput', () => {
  const open = new AbortController().signal;

  it('waits for a slow client, but no longer than the client stays', async () => {
    const [client, hurry, leave] = [slowClient(), new AbortController(), new AbortController()];
    const output = new ClientOutput(client, hurry.signal, new Backlog(LIMITS));
    await output.put(1, PIECE, open);
    let isThrough = false;
    const second = output.put(1, PIECE, open).then(() => (isThrough = true));
    await settle();
    expect(isThrough).toBe(false);
    client.take();
    await second;
    const third = output.put(1, PIECE, leave.signal);
    leave.abort(new Error('left'));
    await expect(third).rejects.toThrow('left');
  });

  it.each<{
    desc: string;
    end: (of: { take: () => void; hurry: AbortController; leave: AbortController }) => void;
  }>([
    { desc: 'the client takes the output', end: ({ take }) => take() },
    { desc: 'the session is drained', end: ({ hurry }) => hurry.abort() },
    { desc: 'the client leaves', end: ({ leave }) => leave.abort(new Error('left')) },
  ])(
    'reports once a second that it waits, until $desc, and leaves neither a timer nor a listener',
    async ({ end }) => {
      jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
      try {
        const [client, hurry, leave, onWait] = [
          slowClient(),
          new AbortController(),
          new AbortController(),
          jest.fn(),
        ];
        const output = new ClientOutput(client, hurry.signal, new Backlog(LIMITS), onWait);
        await output.put(1, PIECE, leave.signal);
        expect(jest.getTimerCount()).toBe(0);
        const waiting = output.put(1, PIECE, leave.signal).catch(() => undefined);
        jest.advanceTimersByTime(3_000);
        expect(onWait).toHaveBeenCalledTimes(3);
        end({ take: client.take, hurry, leave });
        await waiting;
        expect(jest.getTimerCount()).toBe(0);
        for (const { signal } of [hurry, leave]) expect(getEventListeners(signal, 'abort')).toEqual([]);
      } finally {
        jest.useRealTimers();
      }
    },
  );

  it('stops waiting once the session is drained, and then fails for a client that falls too far behind', async () => {
    const [client, hurry] = [slowClient(), new AbortController()];
    const output = new ClientOutput(client, hurry.signal, new Backlog(LIMITS));
    await output.put(1, PIECE, open);
    const blocked = output.put(1, PIECE, open);
    await settle();
    hurry.abort();
    await blocked;
    let pieces = 2;
    const flood = async (): Promise<void> => {
      for (; ; pieces++) await output.put(1, PIECE, open);
    };
    await expect(flood()).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/did not read the output/) as string,
    });
    expect(pieces).toBe(31);
  });

  it('drops output for a stream that the client has closed', async () => {
    const client = slowClient();
    const output = new ClientOutput(client, new AbortController().signal, new Backlog(LIMITS));
    await output.put(1, PIECE, open);
    const blocked = output.put(1, PIECE, open);
    client.stdout.on('error', () => undefined).destroy();
    await blocked;
    await output.put(1, PIECE, open);
    await output.put(2, PIECE, open);
  });

  it('has memory of its own, and beyond that shares a limit with all sessions', async () => {
    const all = new Backlog(LIMITS);
    const hurried = AbortSignal.abort();
    const outputs = [1, 2, 3].map(() => new ClientOutput(slowClient(), hurried, all));
    for (let pieces = 0; pieces < 24; pieces++)
      for (const output of outputs.slice(0, 2)) await output.put(1, PIECE, open).catch(() => undefined);
    expect(all.used).toBeGreaterThan(LIMITS.all);
    const [, , late] = outputs;
    for (let pieces = 0; pieces < 3; pieces++) await late!.put(1, PIECE, open);
    await expect(late!.put(1, PIECE, open)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it('releases the memory of output that was taken, or whose client has gone', async () => {
    const [all, client] = [new Backlog(LIMITS), slowClient()];
    const output = new ClientOutput(client, AbortSignal.abort(), all);
    const gone = gate();
    client.stdout.on('error', () => undefined).once('close', () => gone.resolve());
    for (let pieces = 0; pieces < 4; pieces++) await output.put(1, PIECE, open);
    client.take();
    client.stdout.destroy();
    await gone.promise;
    await settle();
    expect(all.used).toBe(0);
  });
});
