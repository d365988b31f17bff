import { fstatSync } from 'node:fs';
import { isJournal } from '../../../src/lib/journal';

const file = () => ({ dev: 9, ino: 4321 });

it('standard error is the journal if systemd names its device and inode', () =>
  expect(isJournal('9:4321', file)).toBe(true));

it.each<{ JOURNAL_STREAM?: string }>([
  {},
  { JOURNAL_STREAM: '' },
  { JOURNAL_STREAM: '9:4322' },
  { JOURNAL_STREAM: '8:4321' },
  { JOURNAL_STREAM: '9' },
  { JOURNAL_STREAM: 'x:y' },
])('standard error is not the journal with the environment %j', ({ JOURNAL_STREAM }) =>
  expect(isJournal(JOURNAL_STREAM, file)).toBe(false),
);

it('the check examines standard error', () => {
  const { dev, ino } = fstatSync(2);
  expect(isJournal(`${dev}:${ino}`)).toBe(true);
});
