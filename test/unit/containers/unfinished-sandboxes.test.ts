import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnfinishedSandboxes } from '../../../src/containers/unfinished-sandboxes';
import { silentLogger } from '../../../src/lib/logger';
import { LogWatch } from '../../integration/support/log-watch';
import { until } from '../support/async';
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

it('keeps a file of a sandbox from before its start until it is ready', async () => {
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

it('knows what an earlier daemon left, and nothing that is not an id', async () => {
  mkdirSync(directory);
  for (const name of [FIRST, 'README', SECOND.slice(1)]) writeFileSync(join(directory, name), '');
  const sandboxes = await UnfinishedSandboxes.open(directory, silentLogger);
  expect([sandboxes.ids, sandboxes.has(FIRST), sandboxes.has(SECOND)]).toEqual([[FIRST], true, false]);
  sandboxes.condemn(SECOND);
  expect([sandboxes.ids, sandboxes.has(SECOND)]).toEqual([[FIRST, SECOND], true]);
  await sandboxes.forget(FIRST);
  expect([sandboxes.ids, files()]).toEqual([[SECOND], [SECOND.slice(1), 'README']]);
});

it('remembers nothing beyond this process without a directory', async () => {
  const sandboxes = UnfinishedSandboxes.inMemory(silentLogger);
  sandboxes.begin(FIRST);
  sandboxes.condemn(SECOND);
  await sandboxes.finish(FIRST);
  expect([sandboxes.ids, readdirSync(parent)]).toEqual([[SECOND], []]);
});

it('warns once while the directory cannot be written, and again after it could be', async () => {
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

it('opens without what it cannot read, and says so', async () => {
  writeFileSync(directory, '');
  const log = new LogWatch();
  const sandboxes = await UnfinishedSandboxes.open(directory, log.logger);
  expect([sandboxes.ids, log.lines.map(({ level }) => level)]).toEqual([[], ['warn']]);
});
