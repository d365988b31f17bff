import { fstatSync } from 'node:fs';
import { isJournal } from '../../../src/lib/journal';

const file = () => ({ dev: 9, ino: 4321 });

it('standard error is the journal if systemd names its device and inode', () =>
  expect(isJournal('9:4321', file)).toBe(true));

it.each([undefined, '', '9:4322', '8:4321', '9', 'x:y'])(
  'standard error is not the journal with JOURNAL_STREAM=%s',
  (stream) => expect(isJournal(stream, file)).toBe(false),
);

it('the check examines standard error', () => {
  const { dev, ino } = fstatSync(2);
  expect(isJournal(`${dev}:${ino}`)).toBe(true);
});
