import { getEventListeners } from 'node:events';
import { Writable } from 'node:stream';
import { Backlog, ClientOutput } from '../../../../src/server/exec/client-output';
import { gate, settle } from '../../support/async';

const LIMITS = { session: 1 << 20, all: 3 << 19, share: 1 << 17 };
const PIECE = Buffer.alloc(32 * 1024);

/** A client that takes a piece whenever it is told to. */
function slowClient(): { stdout: Writable; stderr: undefined; take: () => void } {
  let taken: (() => void) | undefined;
  const stdout = new Writable({ write: (_chunk, _encoding, done) => void (taken = done) });
  return { stdout, stderr: undefined, take: () => taken?.() };
}

describe('ClientOutput', () => {
  const open = new AbortController().signal;

  it('waits for a slow client, and for its leaving no longer', async () => {
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
    { desc: 'the client takes it', end: ({ take }) => take() },
    { desc: 'it is hurried', end: ({ hurry }) => hurry.abort() },
    { desc: 'the client leaves', end: ({ leave }) => leave.abort(new Error('left')) },
  ])(
    'tells once a second that it waits until $desc, and leaves neither a timer nor a listener',
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

  it('waits no longer once it is hurried, and lets a client go that falls too far behind', async () => {
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
      message: expect.stringMatching(/did not read its output/) as string,
    });
    expect(pieces).toBe(31);
  });

  it('drops what a client has closed', async () => {
    const client = slowClient();
    const output = new ClientOutput(client, new AbortController().signal, new Backlog(LIMITS));
    await output.put(1, PIECE, open);
    const blocked = output.put(1, PIECE, open);
    client.stdout.on('error', () => undefined).destroy();
    await blocked;
    await output.put(1, PIECE, open);
    await output.put(2, PIECE, open);
  });

  it('shares the memory of all sessions, but for what each may keep', async () => {
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

  it('gives back what was taken or is gone with its client', async () => {
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
