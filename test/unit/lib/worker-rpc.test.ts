import { MessageChannel } from 'node:worker_threads';
import { deadlineExceeded, notFound, unavailable } from '../../../src/lib/errors';
import {
  answerCalls,
  NOBODY_WAITS,
  PendingCalls,
  type Reply,
  type Request,
} from '../../../src/lib/worker-rpc';
import { rejectionOf } from '../support/errors';

const none = (): void => undefined;

describe('calls to a worker', () => {
  let calls: PendingCalls<string, number>;
  beforeEach(() => {
    calls = new PendingCalls();
  });

  it('are answered in any order, with values or with errors that keep their code', async () => {
    const { port1, port2 } = new MessageChannel();
    const held: (() => void)[] = [];
    answerCalls<string, number>(port2, async (call) => {
      if (call === 'first') await new Promise<void>((resolve) => held.push(resolve));
      else held.pop()?.();
      if (call === 'missing') throw notFound('no such thing');
      if (call === 'broken') throw new Error('out of order');
      return call.length;
    });
    port1.on('message', (reply: Reply<number>) => calls.settle(reply));
    const send = (request: Request<string>): void => port1.postMessage(request);
    const all = [calls.make('first', send), calls.make('second!', send)];
    expect(await Promise.all(all)).toEqual([5, 7]);
    expect(await rejectionOf(calls.make('missing', send))).toBe('NOT_FOUND no such thing');
    expect(await rejectionOf(calls.make('broken', send))).toBe('INTERNAL out of order');
    expect(calls.size).toBe(0);
    port1.close();
  });

  it('are not kept if they cannot be sent', async () => {
    const send = (): void => {
      throw new Error('it cannot be cloned');
    };
    await expect(calls.make('first', send)).rejects.toThrow('it cannot be cloned');
    expect(calls.size).toBe(0);
  });

  it('can be sent again to the next worker with the same ids', async () => {
    const sent: Request<string>[] = [];
    const answer = calls.make('a', (request) => sent.push(request));
    expect(calls.requests()).toEqual(sent);
    calls.settle({ id: NOBODY_WAITS, answer: 1 });
    expect(calls.size).toBe(1);
    calls.settle({ id: sent[0]!.id, answer: 2 });
    calls.settle({ id: sent[0]!.id, answer: 3 });
    expect(await answer).toBe(2);
  });

  it('are rejected when their time is up, or all at once', async () => {
    const limit = { ms: 1, error: () => deadlineExceeded('too late') };
    expect(await rejectionOf(calls.make('slow', none, limit))).toBe('DEADLINE_EXCEEDED too late');
    const [one, other] = [rejectionOf(calls.make('one', none)), rejectionOf(calls.make('other', none))];
    calls.reject(unavailable('one is off'), (call) => call === 'one');
    expect(calls.size).toBe(1);
    calls.reject(unavailable('all are off'));
    expect(await Promise.all([one, other])).toEqual(['UNAVAILABLE one is off', 'UNAVAILABLE all are off']);
  });
});
