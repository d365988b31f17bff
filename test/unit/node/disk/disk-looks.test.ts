import { DiskLooks, LastAnswers } from '../../../../src/node/disk/disk-looks';
import { gate, type Gate, settle } from '../../support/async';

const WAIT_MS = 5_000;

describe('DiskLooks', () => {
  let looks: DiskLooks;
  let started: { key: string; held: Gate<string> }[];
  beforeEach(() => {
    jest.useFakeTimers();
    looks = new DiskLooks(2, WAIT_MS);
    started = [];
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** Resolves to the result of the work, or to the code of its error. */
  function look(key: string): Promise<string | undefined> {
    const work = (): Promise<string> => {
      const held = gate<string>();
      started.push({ key, held });
      return held.promise;
    };
    return looks.run('Looking', key, work).catch((error: unknown) => (error as { code?: string }).code);
  }
  const keys = (): string[] => started.map(({ key }) => key);
  const answer = (key: string): void => started.find((one) => one.key === key)?.held.resolve(key);

  it('lets other work run while disks answer', async () => {
    const all = ['a', 'b', 'c', 'd'].map(look);
    await jest.advanceTimersByTimeAsync(0);
    expect(keys()).toEqual(['a', 'b']);
    for (const key of ['a', 'b', 'c', 'd']) {
      answer(key);
      await jest.advanceTimersByTimeAsync(0);
    }
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('occupies at most two threads, whatever hangs', async () => {
    const all = ['a', 'b', 'c', 'd'].map(look);
    await jest.advanceTimersByTimeAsync(WAIT_MS);
    expect(await Promise.all(all)).toEqual(Array(4).fill('DEADLINE_EXCEEDED'));
    expect(looks.hanging).toEqual(['a', 'b']);
    // The next look fails at once: no timer is advanced.
    expect(await look('e')).toBe('DEADLINE_EXCEEDED');
    expect(keys()).toEqual(['a', 'b']);
    answer('a');
    await jest.advanceTimersByTimeAsync(0);
    expect(looks.hanging).toEqual(['b']);
    const late = look('f');
    await jest.advanceTimersByTimeAsync(0);
    answer('f');
    expect(await late).toBe('f');
    expect(keys()).toEqual(['a', 'b', 'f']);
  });

  it('uses one thread for one key', async () => {
    const both = [look('a'), look('a')];
    await jest.advanceTimersByTimeAsync(0);
    expect(keys()).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(WAIT_MS);
    expect(await Promise.all(both)).toEqual(['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
    expect(await look('a')).toBe('DEADLINE_EXCEEDED');
    expect(keys()).toEqual(['a']);
    answer('a');
    await jest.advanceTimersByTimeAsync(0);
    // A caller that gave up while it waited for its turn must not take a thread later.
    expect(keys()).toEqual(['a']);
  });

  it('passes on the error of the work', async () => {
    const failing = looks.run('Looking', 'a', () => Promise.reject(new Error('EIO')));
    await expect(failing).rejects.toThrow('EIO');
    expect(looks.hanging).toEqual([]);
  });
});

describe('LastAnswers', () => {
  let open: { key: string; held: Gate<string> }[];
  let answers: LastAnswers<string>;
  beforeEach(() => {
    open = [];
    const ask = (key: string): Promise<string> => {
      const held = gate<string>();
      open.push({ key, held });
      return held.promise;
    };
    answers = new LastAnswers(ask, 2, 300);
  });
  const answer = (text: string): void => open.shift()?.held.resolve(text);

  async function known(key: string): Promise<void> {
    const first = answers.get(key);
    await settle();
    answer(`old ${key}`);
    expect(await first).toBe(`old ${key}`);
  }

  it('asks once for all waiting callers', async () => {
    const both = [answers.get('a'), answers.get('a')];
    await settle();
    expect(open).toHaveLength(1);
    answer('new');
    expect(await Promise.all(both)).toEqual(['new', 'new']);
  });

  it('returns the last answer while a question hangs, and does not ask again', async () => {
    await known('a');
    expect(await answers.get('a')).toBe('old a');
    expect(await answers.get('a')).toBe('old a');
    expect(open).toHaveLength(1);
    answer('new');
    await settle();
    await known('a');
  });

  it('asks at most two questions at a time', async () => {
    expect(await Promise.all(['a', 'b', 'c'].map((key) => answers.get(key)))).toEqual(
      Array(3).fill(undefined),
    );
    expect(open.map(({ key }) => key)).toEqual(['a', 'b']);
    answer('new');
    await settle();
    expect(open.map(({ key }) => key)).toEqual(['b', 'c']);
  });

  it('has no answer after a failure, or for a key that was forgotten', async () => {
    for (const key of ['a', 'b']) await known(key);
    answers.retain(new Set(['a']));
    expect(await Promise.all(['a', 'b'].map((key) => answers.get(key)))).toEqual(['old a', undefined]);
    open.shift()?.held.reject(new Error('gone'));
    await settle();
    expect(await answers.get('a')).toBeUndefined();
  });
});
