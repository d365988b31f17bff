import type { EngineProgress } from '../../../../src/engine/types';
import { PullProgress } from '../../../../src/translate/image/pull-progress';

const layer = (id: string, status: string, current?: number): EngineProgress => ({
  id,
  status,
  progressDetail: current === undefined ? {} : { current, total: 100 },
});

describe('PullProgress', () => {
  it('sees a byte and a status move in any layer, and nothing in repetitions', () => {
    const progress = new PullProgress();
    const moves: [EngineProgress, boolean][] = [
      [{ id: '1', status: 'Pulling from app' }, true],
      [{ id: '1', status: 'Pulling from app' }, false],
      [layer('a', 'Pulling fs layer'), true],
      [layer('b', 'Waiting'), true],
      [layer('a', 'Downloading', 1), true],
      [layer('a', 'Downloading', 1), false],
      [layer('b', 'Waiting'), false],
      [layer('a', 'Downloading', 2), true],
      [layer('a', 'Retrying in 5 seconds'), true],
      [layer('a', 'Retrying in 4 seconds'), true],
      [{ status: 'Digest: sha256:d' }, true],
      [{ status: 'Digest: sha256:d' }, false],
      [{}, true],
    ];
    for (const [message, moved] of moves) expect([message, progress.note(message)]).toEqual([message, moved]);
  });

  it.each<{ desc: string; messages: EngineProgress[]; unpacking: boolean }>([
    { desc: 'nothing has come', messages: [], unpacking: false },
    { desc: 'only the tag is told', messages: [layer('1', 'Pulling from app')], unpacking: false },
    {
      desc: 'a layer waits',
      messages: [layer('a', 'Extracting', 1), layer('b', 'Waiting')],
      unpacking: false,
    },
    {
      desc: 'a layer comes while another is unpacked',
      messages: [layer('a', 'Extracting', 1), layer('b', 'Downloading', 1)],
      unpacking: false,
    },
    {
      desc: 'all have come, one is unpacked',
      messages: [
        layer('1', 'Pulling from app'),
        layer('a', 'Already exists'),
        layer('b', 'Extracting', 1),
        layer('c', 'Download complete'),
      ],
      unpacking: true,
    },
    {
      desc: 'all are there',
      messages: [layer('a', 'Already exists'), layer('b', 'Pull complete')],
      unpacking: false,
    },
  ])('is unpacking: $desc: $unpacking', ({ messages, unpacking }) => {
    const progress = new PullProgress();
    for (const message of messages) progress.note(message);
    expect(progress.isUnpacking).toBe(unpacking);
  });

  it('describes how far it came', () => {
    const progress = new PullProgress();
    expect(progress.describe()).toBe('no layer was begun');
    for (const message of [layer('a', 'Pull complete'), layer('b', 'Downloading', 5)]) progress.note(message);
    expect(progress.describe()).toBe('1 of 2 layers were complete');
  });
});
