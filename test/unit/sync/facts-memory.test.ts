import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { FactsFile, NoFactsMemory } from '../../../src/sync/facts-memory';
import { toFacts } from '../../../src/translate/shared/engine-facts';
import { FakeEngine } from '../../fakes/fake-docker';

const FACTS = toFacts(
  { Version: '28.5.2', ApiVersion: '1.51', Os: 'linux', Arch: 'amd64' },
  new FakeEngine().facts,
);
let directory: string;
const file = (endpoint = 'tcp://one:2375'): FactsFile =>
  new FactsFile(join(directory, 'engine.json'), endpoint, silentLogger);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('the memory returns what another instance stored', async () => {
  expect(await file().recall()).toBeUndefined();
  await file().keep(FACTS);
  expect(await file().recall()).toEqual(FACTS);
  expect(await readdir(directory)).toEqual(['engine.json']);
});

it('the memory stores all of several simultaneous values, and keeps the last', async () => {
  const complaints: string[] = [];
  const logger = { ...silentLogger, debug: (text: () => string) => void complaints.push(text()) };
  const busy = new FactsFile(join(directory, 'engine.json'), 'tcp://one:2375', logger);
  const versions = Array.from({ length: 12 }, (_, at) => `28.${'5'.repeat(at + 1)}`);
  await Promise.all(versions.map((engineVersion) => busy.keep({ ...FACTS, engineVersion })));
  expect(complaints).toEqual([]);
  expect(await file().recall()).toEqual({ ...FACTS, engineVersion: versions.at(-1) });
  expect(await readdir(directory)).toEqual(['engine.json']);
});

it('the memory returns nothing from a file that is damaged, or from another endpoint, boot or version of dockbridge', async () => {
  await file().keep(FACTS);
  expect(await file('tcp://two:2375').recall()).toBeUndefined();
  const path = join(directory, 'engine.json');
  const { circumstances } = JSON.parse(await readFile(path, 'utf8')) as { circumstances: string };
  const { storageDriver: _, ...older } = FACTS;
  for (const text of [
    JSON.stringify({ circumstances: `${circumstances.split(' ')[0]} other-boot`, facts: FACTS }),
    JSON.stringify({ circumstances, facts: older }),
    '{"circ',
  ]) {
    await writeFile(path, text);
    expect(await file().recall()).toBeUndefined();
  }
});

it('the memory stores nothing, and does not fail, if its directory is missing or is a file', async () => {
  await rm(directory, { recursive: true });
  await file().keep(FACTS);
  await writeFile(directory, '');
  await file().keep(FACTS);
  expect(await file().recall()).toBeUndefined();
});

it.each(Object.keys(FACTS) as (keyof typeof FACTS)[])(
  'the memory returns nothing if %s is missing or has another type, and accepts additional facts',
  async (name) => {
    await file().keep(FACTS);
    const path = join(directory, 'engine.json');
    const { circumstances } = JSON.parse(await readFile(path, 'utf8')) as { circumstances: string };
    const write = (facts: object): Promise<void> => writeFile(path, JSON.stringify({ circumstances, facts }));
    await write({ ...FACTS, [name]: undefined });
    expect(await file().recall()).toBeUndefined();
    // The value has another type, or is a list with items of another type.
    await write({ ...FACTS, [name]: Array.isArray(FACTS[name]) ? [7] : 7 });
    expect(await file().recall()).toBeUndefined();
    await write({ ...FACTS, more: true });
    expect(await file().recall()).toEqual({ ...FACTS, more: true });
  },
);

it('the file is readable for root alone, and is written only when its contents change', async () => {
  const memory = file();
  const path = join(directory, 'engine.json');
  await memory.keep(FACTS);
  const { ino, mode } = await stat(path);
  expect(mode & 0o777).toBe(0o600);
  expect(await readFile(path, 'utf8')).toMatch(/\}\n$/);
  await memory.keep({ ...FACTS });
  expect((await stat(path)).ino).toBe(ino);
  await memory.keep({ ...FACTS, cdi: !FACTS.cdi });
  expect((await stat(path)).ino).not.toBe(ino);
});

it('a draft that cannot be renamed is removed, and the next one is tried', async () => {
  const path = join(directory, 'engine.json');
  await mkdir(path);
  const memory = file();
  await memory.keep(FACTS);
  expect(await readdir(directory)).toEqual(['engine.json']);
  await rm(path, { recursive: true });
  await memory.keep(FACTS);
  expect(await memory.recall()).toEqual(FACTS);
});

it('the memory returns nothing from a file without facts or without the right circumstances', async () => {
  const path = join(directory, 'engine.json');
  for (const body of [{ facts: FACTS }, { circumstances: '' }, { circumstances: '', facts: FACTS }, []]) {
    await writeFile(path, JSON.stringify(body));
    expect(await file().recall()).toBeUndefined();
  }
});

it('nothing is stored without a memory', async () => {
  const none = new NoFactsMemory();
  await none.keep();
  await expect(none.recall()).resolves.toBeUndefined();
});
