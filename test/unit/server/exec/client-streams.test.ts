import { getEventListeners } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { silentLogger } from '../../../../src/lib/logger';
import { Backlog, ClientOutput } from '../../../../src/server/exec/client-output';
import { copyStreams, followSizes } from '../../../../src/server/exec/client-streams';
import type { ClientStreams } from '../../../../src/streaming/backend';
import { TerminalSizes } from '../../../../src/streaming/remotecommand/terminal-sizes';
import { gate, settle, until } from '../../support/async';
import { engineFrame } from '../../support/engine-frame';

/** The Engine's end of a hijacked connection: `push` is what it says. */
class EngineConnection extends Duplex {
  heard = '';
  inputEnded = false;

  override _read(): void {
    // Pushed from outside.
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

describe('a conversation with the Engine', () => {
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
    // What the client types from here on goes nowhere, and its end is nobody's business.
    expect([client.stdin.listenerCount('data'), client.stdin.listenerCount('end')]).toEqual([0, 0]);
  };

  it('hands on input and both outputs, and leaves no listener at its end', async () => {
    begin();
    client.stdin.write('in');
    connection.push(Buffer.concat([engineFrame(1, 'out'), engineFrame(2, 'err')]));
    await until(() => connection.heard === 'in', 'the input');
    connection.push(null);
    await done;
    expect([String(client.stdout.read()), String(client.stderr.read())]).toEqual(['out', 'err']);
    nothingIsLeft();
  });

  it('hands on the output of a terminal as it is', async () => {
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

  it('fails when the client leaves, and when the Engine breaks off in the middle of a frame', async () => {
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

it('sizes of a terminal are handed on one after the other, without those that were overtaken', async () => {
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
