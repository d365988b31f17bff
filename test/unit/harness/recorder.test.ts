import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { weightOf, type Entry } from '../../../src/harness/tape/entry';
import { Recorder, type RecorderOptions } from '../../../src/harness/tape/recorder';
import type { FromTape, ToTape } from '../../../src/harness/tape/worker-protocol';

/** The tape's thread with a disk that a test controls. */
class FakeThread extends EventEmitter {
  readonly taken: Entry[] = [];
  terminate = (): Promise<number> => Promise.resolve(0);

  constructor(private readonly onBatch: (thread: FakeThread, entries: ToTape) => void) {
    super();
    setImmediate(() => this.say({ opened: true }));
  }

  postMessage(entries: ToTape): void {
    setImmediate(() => this.onBatch(this, entries));
  }

  say(message: FromTape): void {
    this.emit('message', message);
  }

  take(entries: ToTape, why?: string): void {
    if (why === undefined) this.taken.push(...entries);
    const lines = entries.filter(({ kind }) => kind === 'fault').length;
    const untold = entries.reduce((sum, entry) => sum + (entry.kind === 'lost' ? entry.lost : 0), 0);
    this.say({
      ...{ taken: entries.reduce((sum, entry) => sum + weightOf(entry), 0), lines },
      ...(why === undefined ? {} : { failed: { lines, untold, why } }),
    });
  }

  finish(entries: ToTape, isWhole = true): void {
    if (entries.some(({ kind }) => kind === 'finish')) this.say({ finished: true, bytes: 99, isWhole });
  }
}

const HEAD = { tape: 1, recorded: 'x', by: 'test', upstream: { endpoint: 'unix:///x' }, redacted: [] };

async function open(
  onBatch: (thread: FakeThread, entries: ToTape) => void,
  more: Partial<RecorderOptions> = {},
): Promise<{ recorder: Recorder; thread: FakeThread; said: string[] }> {
  const thread = new FakeThread(onBatch);
  const said: string[] = [];
  const recorder = await Recorder.open('unused', {
    ...{ file: 'x', header: HEAD, full: false, startWorker: () => thread as unknown as Worker },
    warn: (text) => void said.push(text),
    ...more,
  });
  return { recorder, thread, said };
}

const write = (recorder: Recorder): void =>
  recorder.write({ kind: 'fault', t: recorder.now(), fault: 'hang', rule: 0 });

it('lines that the disk has not accepted at the end of the time limit are lost', async () => {
  const { recorder, said } = await open(() => undefined, { finishMs: 50 });
  write(recorder);
  write(recorder);
  expect(await recorder.finish()).toEqual({ lost: 2, bytes: 0, isWhole: false });
  expect(said).toEqual([expect.stringMatching(/within 50 ms$/)]);
});

it('a thread that hangs in the kernel is not awaited beyond the time limit', async () => {
  const { recorder, thread } = await open(() => undefined, { finishMs: 10 });
  thread.terminate = () => new Promise(() => undefined);
  expect(await recorder.finish()).toMatchObject({ isWhole: false });
});

it('a thread that dies loses the lines that it had not written', async () => {
  const { recorder, said } = await open((thread) => thread.emit('error', new Error('out of memory')));
  write(recorder);
  expect(await recorder.finish()).toEqual({ lost: 1, bytes: 0, isWhole: false });
  expect(said).toEqual([expect.stringContaining('out of memory')]);
});

it('a tape is incomplete when the disk does not confirm it', async () => {
  const { recorder } = await open((thread, entries) => {
    thread.take(entries);
    thread.finish(entries, false);
  });
  write(recorder);
  expect(await recorder.finish()).toEqual({ lost: 0, bytes: 99, isWhole: false });
});

it('losses of the last moment are reported, including those that a lost line would have reported', async () => {
  let failures = 2;
  const { recorder, thread } = await open((one, entries) => {
    one.take(entries, failures-- > 0 ? 'no space' : undefined);
    one.finish(entries);
  });
  const said = new Promise<void>((resolve) => thread.once('message', () => resolve()));
  write(recorder);
  await said;
  // This line follows the line of the first loss, and fails as well.
  write(recorder);
  expect(await recorder.finish()).toEqual({ lost: 2, bytes: 99, isWhole: false });
  expect(thread.taken).toMatchObject([
    { kind: 'lost', lost: 2 },
    { kind: 'finish', lost: 2 },
  ]);
});

it('entries that come after finish() are lost, and the tape is incomplete', async () => {
  const { recorder, thread } = await open((one, entries) => {
    one.take(entries);
    one.finish(entries);
  });
  write(recorder);
  const finished = recorder.finish();
  write(recorder);
  expect(await finished).toEqual({ lost: 1, bytes: 99, isWhole: false });
  expect(thread.taken.map(({ kind }) => kind)).toEqual(['fault', 'lost', 'finish']);
});
