import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { mostHeldFiles, parseFileLimit, tellFileLimit } from '../../../src/node/file-limit';

it.each([
  { limit: '1024', outcome: 'causes a warning', warned: [1024] },
  { limit: '1048576', outcome: 'causes no warning', warned: [] },
  { limit: 'unlimited', outcome: 'causes no warning', warned: [] },
])('the limit "$limit" for open files $outcome', async ({ limit, warned }) => {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-limits-'));
  const path = join(directory, 'limits');
  await writeFile(
    path,
    `Limit     Soft Limit  Hard Limit  Units\nMax open files            ${limit}     ${limit}    files\n`,
  );
  const warn = jest.fn();
  tellFileLimit({ ...silentLogger, warn }, path);
  expect(warn.mock.calls.map(([, fields]: unknown[]) => (fields as { limit: number }).limit)).toEqual(warned);
  await rm(directory, { recursive: true });
});

it.each([
  [256, 32],
  [1_024, 128],
  [4_096, 512],
  [1_048_576, 1_024],
  [Infinity, 1_024],
])('with a limit of %d files, %d files may stay open', (limit, held) => {
  expect(mostHeldFiles(limit)).toBe(held);
});

it.each([
  ['Max open files            1024                 524288               files', 1024],
  ['Max open files            unlimited            unlimited            files', Infinity],
  ['Max processes             15530                15530                processes', undefined],
])('parseFileLimit reads the soft limit of %j', (line, limit) => {
  expect(parseFileLimit(`Limit  Soft Limit  Hard Limit  Units\n${line}\n`)).toBe(limit);
});
