import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnfinishedSandboxes } from '../../../src/containers/unfinished-sandboxes';
import { silentLogger } from '../../../src/lib/logger';
import { LogWatch } from '../../integration/support/log-watch';
import { gate, until } from '../support/async';
import { engineId } from '../support/records';

const [FIRST, SECOND] = [engineId('a1'), engineId('a2')];

let parent: string;
let directory: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'dockbridge-unfinished-'));
  directory = join(parent, 'unfinished');
});
afterEach(() => rmSync(parent, { recursive: true }));

const files = (): string[] => readdirSync(directory).sort();

it('UnfinishedSandboxes keeps a file for a sandbox from before its start until it is ready', async () => {
  const sandboxes = await UnfinishedSandboxes.open(directory, silentLogger);
  sandboxes.begin(FIRST);
  sandboxes.begin(SECOND);
  sandboxes.begin('../x');
  await sandboxes.finish(FIRST);
  await until(() => files().length === 1);
  expect(files()).toEqual([SECOND]);
  await sandboxes.forget(SECOND);
  expect([files(), readdirSync(parent)]).toEqual([[], ['unfinished']]);
});

it('UnfinishedSandboxes reads what an earlier daemon left, and ignores names that are not ids', async () => {
  mkdirSync(directory);
  for (const name of [FIRST, 'README', SECOND.slice(1)]) writeFileSync(join(directory, name), '');
  const sandboxes = await UnfinishedSandboxes.open(directory, silentLogger);
  expect([sandboxes.ids, sandboxes.has(FIRST), sandboxes.has(SECOND)]).toEqual([[FIRST], true, false]);
  sandboxes.condemn(SECOND);
  expect([sandboxes.ids, sandboxes.has(SECOND)]).toEqual([[FIRST, SECOND], true]);
  await sandboxes.forget(FIRST);
  expect([sandboxes.ids, files()]).toEqual([[SECOND], [SECOND.slice(1), 'README']]);
});

it('UnfinishedSandboxes remembers nothing beyond this process without a directory', async () => {
  const sandboxes = UnfinishedSandboxes.inMemory(silentLogger);
  sandboxes.begin(FIRST);
  sandboxes.condemn(SECOND);
  await sandboxes.finish(FIRST);
  expect([sandboxes.ids, readdirSync(parent)]).toEqual([[SECOND], []]);
});

it('UnfinishedSandboxes warns once while the directory cannot be written, and again after a success in between', async () => {
  const log = new LogWatch();
  const sandboxes = await UnfinishedSandboxes.open(directory, log.logger);
  const warnings = (): number => log.lines.filter(({ level }) => level === 'warn').length;
  const tryIn = async (place: 'directory' | 'nothing'): Promise<number> => {
    rmSync(directory, { recursive: true, force: true });
    if (place === 'directory') mkdirSync(directory);
    sandboxes.begin(FIRST);
    await sandboxes.finish(FIRST);
    return warnings();
  };
  expect(await tryIn('directory')).toBe(0);
  expect(await tryIn('nothing')).toBe(1);
  expect(await tryIn('nothing')).toBe(1);
  expect(await tryIn('directory')).toBe(1);
  expect(await tryIn('nothing')).toBe(2);
});

it('UnfinishedSandboxes opens without the files that it cannot read, and logs that', async () => {
  writeFileSync(directory, '');
  const log = new LogWatch();
  const sandboxes = await UnfinishedSandboxes.open(directory, log.logger);
  expect([sandboxes.ids, log.lines.map(({ level }) => level)]).toEqual([[], ['warn']]);
});

it('UnfinishedSandboxes creates its directory, and the parents, for the daemon alone', async () => {
  const below = join(directory, 'unfinished');
  await UnfinishedSandboxes.open(below, silentLogger);
  expect(statSync(below).mode & 0o777).toBe(0o700);
});

it('UnfinishedSandboxes warns of the very first sandbox that cannot be recorded, with the reason', async () => {
  const warn = jest.fn();
  const sandboxes = await UnfinishedSandboxes.open(directory, { ...silentLogger, warn });
  rmSync(directory, { recursive: true });
  sandboxes.begin(FIRST);
  await sandboxes.finish(FIRST);
  expect(warn.mock.calls).toEqual([
    ['Cannot record a sandbox that is being created', { error: expect.stringContaining('ENOENT') as string }],
  ]);
});

it('UnfinishedSandboxes removes the file of a condemned sandbox only when the sandbox is gone, and never a foreign one', async () => {
  mkdirSync(directory);
  const sandboxes = await UnfinishedSandboxes.open(directory, silentLogger);
  writeFileSync(join(directory, SECOND), '');
  sandboxes.begin(FIRST);
  sandboxes.condemn(FIRST);
  await until(() => files().length === 2);
  // This daemon does not know the file, which another daemon may have written.
  await sandboxes.forget(SECOND);
  expect([files(), sandboxes.has(FIRST)]).toEqual([[FIRST, SECOND], true]);
  await sandboxes.forget(FIRST);
  expect([files(), sandboxes.has(FIRST)]).toEqual([[SECOND], false]);
});

it('UnfinishedSandboxes leaves no file of a sandbox that becomes ready before its file is written', async () => {
  const sandboxes = await UnfinishedSandboxes.open(directory, silentLogger);
  const slow = gate();
  const write = fs.writeFile;
  const writing = jest.spyOn(fs, 'writeFile').mockImplementation(async (...args) => {
    await slow.promise;
    await write(...args);
  });
  try {
    sandboxes.begin(FIRST);
    const forgotten = sandboxes.forget(FIRST);
    slow.resolve();
    await Promise.all([forgotten, writing.mock.results[0]?.value]);
    expect(files()).toEqual([]);
  } finally {
    writing.mockRestore();
  }
});

it('UnfinishedSandboxes writes empty files and removes each only once, because a later one belongs to another daemon', async () => {
  const sandboxes = await UnfinishedSandboxes.open(directory, silentLogger);
  const path = join(directory, FIRST);
  sandboxes.begin(FIRST);
  await until(() => files().length === 1);
  expect(statSync(path).size).toBe(0);
  await sandboxes.forget(FIRST);
  writeFileSync(path, '');
  await sandboxes.forget(FIRST);
  expect(files()).toEqual([FIRST]);
});

it('UnfinishedSandboxes ignores that somebody has already removed a file', async () => {
  const warn = jest.fn();
  const sandboxes = await UnfinishedSandboxes.open(directory, { ...silentLogger, warn });
  sandboxes.begin(FIRST);
  await until(() => files().length === 1);
  rmSync(join(directory, FIRST));
  await sandboxes.forget(FIRST);
  expect(warn).not.toHaveBeenCalled();
});
