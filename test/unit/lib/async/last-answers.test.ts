import { LastAnswers } from '../../../../src/lib/async/last-answers';
import { gate, settle, type Gate } from '../../support/async';

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

  it('asks once for all who wait', async () => {
    const both = [answers.get('a'), answers.get('a')];
    await settle();
    expect(open).toHaveLength(1);
    answer('new');
    expect(await Promise.all(both)).toEqual(['new', 'new']);
  });

  it('gives the last answer while a question hangs, and does not ask again', async () => {
    await known('a');
    expect(await answers.get('a')).toBe('old a');
    expect(await answers.get('a')).toBe('old a');
    expect(open).toHaveLength(1);
    answer('new');
    await settle();
    await known('a');
  });

  it('asks no more than two at a time', async () => {
    expect(await Promise.all(['a', 'b', 'c'].map((key) => answers.get(key)))).toEqual(
      Array(3).fill(undefined),
    );
    expect(open.map(({ key }) => key)).toEqual(['a', 'b']);
    answer('new');
    await settle();
    expect(open.map(({ key }) => key)).toEqual(['b', 'c']);
  });

  it('knows nothing after a failure, nor of what is forgotten', async () => {
    for (const key of ['a', 'b']) await known(key);
    answers.retain(new Set(['a']));
    expect(await Promise.all(['a', 'b'].map((key) => answers.get(key)))).toEqual(['old a', undefined]);
    open.shift()?.held.reject(new Error('gone'));
    await settle();
    expect(await answers.get('a')).toBeUndefined();
  });
});
