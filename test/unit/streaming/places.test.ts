import { Places, PLACE_LIMITS } from '../../../src/streaming/session-limits';
import { Refusal } from '../../../src/streaming/upgrade';
import { waitingCost } from '../../../src/streaming/waiting-cost';
import { gate, settle, type Gate } from '../support/async';

describe('Places', () => {
  let sessions: Gate<void>[];
  let places: Places;
  beforeEach(() => {
    sessions = [];
    places = new Places({ all: 3, each: 2 });
  });
  const take = (target: string): Promise<void> =>
    places.take(target, () => {
      const session = gate();
      sessions.push(session);
      return session.promise;
    });
  const refusalOf = async (taken: Promise<void>): Promise<[number, string]> => {
    const error: unknown = await taken.catch((failure: unknown) => failure);
    if (!(error instanceof Refusal)) throw new Error('it was not refused');
    return [error.status, error.message];
  };

  it('are limited for each target and in total, with an error that says so', async () => {
    const taken = [take('a'), take('a')];
    expect(await refusalOf(take('a'))).toEqual([
      503,
      '2 streaming sessions are open to a, which is the limit',
    ]);
    taken.push(take('b'));
    const full = [503, '3 streaming sessions are open, which is the limit'];
    expect(await refusalOf(take('b'))).toEqual(full);
    expect(await refusalOf(take('c'))).toEqual(full);
    expect(sessions).toHaveLength(3);
    for (const session of sessions) session.resolve();
    await Promise.all(taken);
  });

  it('are free again when a session ends, and when it fails', async () => {
    const taken = [take('a'), take('a'), take('b')];
    sessions[0]!.resolve();
    await taken[0];
    taken.push(take('a'));
    await settle();
    expect(sessions).toHaveLength(4);
    sessions[1]!.reject(new Error('session'));
    await expect(taken[1]).rejects.toThrow('session');
    taken.push(take('b'));
    expect(sessions).toHaveLength(5);
    expect(await refusalOf(take('c'))).toEqual([503, '3 streaming sessions are open, which is the limit']);
    for (const session of sessions) session.resolve();
    await Promise.all([taken[2], taken[3], taken[4]]);
    // No place of any target is in use.
    const again = [take('a'), take('a'), take('b')];
    for (const session of sessions) session.resolve();
    await Promise.all(again);
  });

  it('prevent one target from using all of them', () => {
    expect(PLACE_LIMITS.each).toBeLessThan(PLACE_LIMITS.all);
  });
});

describe('the cost of waiting data', () => {
  it.each([
    [0, 0],
    [1, 257],
    [1_000, 1_256],
  ])('of %d bytes is %d', (bytes, cost) => expect(waitingCost(Buffer.alloc(bytes))).toBe(cost));
});
