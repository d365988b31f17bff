import { getEventListeners } from 'node:events';
import { TerminalSizes, type TerminalSize } from '../../../src/streaming/remotecommand/terminal-sizes';

function heard(...chunks: string[]): TerminalSize[] {
  const sizes = new TerminalSizes();
  const all: TerminalSize[] = [];
  sizes.listen((size) => all.push(size));
  for (const chunk of chunks) sizes.write(chunk);
  return all;
}

describe('TerminalSizes', () => {
  it('reads consecutive objects, split anywhere', () => {
    const text = '{"Width":80,"Height":24}{"Width":132,"Height":43}\n{"Height":1,"Width":2}';
    const expected = [
      { width: 80, height: 24 },
      { width: 132, height: 43 },
      { width: 2, height: 1 },
    ];
    expect(heard(text)).toEqual(expected);
    expect(heard(...Array.from(text))).toEqual(expected);
  });

  it.each([
    '{"Width":0,"Height":5}',
    '{"Width":-1,"Height":5}',
    '{"Width":1e9,"Height":5}',
    '{}',
    'x}',
    '}}}',
    'null}',
  ])('skips %s', (nonsense) => {
    expect(heard(nonsense, '{"Width":80,"Height":24}')).toEqual([{ width: 80, height: 24 }]);
  });

  it('keeps no more of endless input than a size takes', () => {
    const sizes = new TerminalSizes();
    for (let round = 0; round < 1000; round++) sizes.write('{'.repeat(10_000));
    expect(JSON.stringify(sizes).length).toBeLessThan(2_000);
  });

  it('waits a limited time for a first size, and not for a client that has left', async () => {
    const sizes = new TerminalSizes();
    const gone = new AbortController();
    const first = sizes.first(60_000, gone.signal);
    sizes.write('{"Width":80,"Height":24}');
    expect(await first).toEqual({ width: 80, height: 24 });
    expect(await sizes.first(60_000, gone.signal)).toEqual({ width: 80, height: 24 });
    expect(await new TerminalSizes().first(1, gone.signal)).toBeUndefined();
    const waiting = new TerminalSizes().first(60_000, gone.signal);
    gone.abort();
    expect(await waiting).toBeUndefined();
  });

  it.each<{ desc: string; end: (sizes: TerminalSizes, gone: AbortController) => void }>([
    { desc: 'a first size', end: (sizes) => sizes.write('{"Width":80,"Height":24}') },
    { desc: 'the end of its time limit', end: () => jest.advanceTimersByTime(1_000) },
    { desc: 'a client that leaves', end: (_, gone) => gone.abort() },
  ])('leaves neither a timer nor a listener after $desc', async ({ end }) => {
    jest.useFakeTimers();
    try {
      const [sizes, gone] = [new TerminalSizes(), new AbortController()];
      const first = sizes.first(1_000, gone.signal);
      end(sizes, gone);
      await first;
      expect(jest.getTimerCount()).toBe(0);
      expect(getEventListeners(gone.signal, 'abort')).toEqual([]);
    } finally {
      jest.useRealTimers();
    }
  });
});
