import { SmallFile } from '../../../../src/node/disk/files';
import { rejectionOf } from '../../support/errors';

describe('a small file on a disk that hangs', () => {
  it('is read once for all waiting callers, lets each give up in time, and is read anew after the disk answers', async () => {
    let reads = 0;
    let answer: (text: string) => void = () => undefined;
    const hanging = (): Promise<string> => {
      reads++;
      return new Promise((resolve) => (answer = resolve));
    };
    const file = new SmallFile('/dead/config.json', 100, { read: hanging, limitMs: 1 });
    expect(await rejectionOf(file.text())).toBe(
      'DEADLINE_EXCEEDED Reading /dead/config.json took longer than 1 ms',
    );
    expect(await rejectionOf(file.text())).toMatch(/^DEADLINE_EXCEEDED /);
    expect(reads).toBe(1);
    answer('old');
    const next = new Promise<string>((resolve) => setImmediate(() => resolve(file.text())));
    setImmediate(() => answer('new'));
    expect(await next).toBe('new');
    expect(reads).toBe(2);
  });
});
