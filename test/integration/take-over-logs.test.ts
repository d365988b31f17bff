import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { lstat, mkdir, readdir, readFile, readlink, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { cri } from '../../src/proto';
import { ContainerState } from '../../src/proto/enums';
import { parseCri } from '../unit/logs/support/log-room';
import { TestDaemon } from './support/daemon';
import { engineCall, engineLeftovers, startPrivateEngine, type PrivateEngine } from './support/engine';
import { untilEngineIsMissed, untilSynced } from './support/engine-link';
import { Incumbent } from './support/incumbent';
import { containerConfig, containerStatus, podConfig, untilExited } from './support/pods';

jest.setTimeout(300_000);

let engine: PrivateEngine;
let test: TestDaemon;
/** A directory of the host. A file with a container's name in it ends that container. */
let gate: string;
let podSandboxConfig: cri.IPodSandboxConfig;

beforeAll(async () => {
  // The logs that dockbridge takes over get the Engine's own options. With the options of a hostile
  // daemon.json, nobody could follow these logs.
  const config = { 'log-opts': {} };
  engine = await startPrivateEngine('take-over-logs', { dockerd: ['--live-restore'], config });
});
afterAll(() => engine.destroy());

beforeEach(async () => {
  test = await TestDaemon.start({ dockerHost: engine.dockerHost });
  await untilSynced(test);
  gate = join(test.directory, 'gate');
  await mkdir(gate);
  podSandboxConfig = podConfig(test);
});
afterEach(async () => {
  await test.stop();
  expect(await engineLeftovers(engine.dockerHost)).toEqual([]);
});

/** Writes the numbers up to `quick` at once, and then one after the other until it is stopped. */
const counting = (name: string, quick = 0): string =>
  `seq 1 ${quick}; i=${quick}; until [ -e /gate/${name} ]; do i=$((i+1)); echo $i; usleep 20000; done; echo end`;

interface Wanted {
  readonly script: string;
  /** LogConfig of the Engine's HostConfig. By default it is the Engine's own. */
  readonly LogConfig?: { readonly Type: string; readonly Config?: Readonly<Record<string, string>> };
  /** The state to wait for before dockbridge starts: an ended container, or a certain spool. */
  readonly until?: 'ended' | ((spool: string) => Promise<void>);
}

interface Made {
  readonly id: string;
  readonly path: string;
  /** '' for a driver without a log path. */
  readonly spool: string;
}

/**
 * Lets another runtime run a pod with these containers while no dockbridge runs, and then starts
 * dockbridge.
 */
async function takeOver<Name extends string>(wanted: Record<Name, Wanted>): Promise<Record<Name, Made>> {
  const made: Partial<Record<Name, Made>> = {};
  await test.restart(async () => {
    const root = join(test.directory, 'incumbent');
    const { dockerHost } = engine;
    const incumbent = await Incumbent.start({ kind: 'cri-dockerd-0.4', root, dockerHost });
    const pod = await incumbent.runPod(podSandboxConfig);
    for (const [name, { script, LogConfig, until }] of Object.entries(wanted) as [Name, Wanted][]) {
      const mounts = [{ container_path: '/gate', host_path: gate }];
      const config = containerConfig(name, script, { log_path: `${name}/0.log`, mounts });
      const id = await incumbent.runContainer(pod, config, LogConfig && { LogConfig });
      const { LogPath: spool = '' } = await incumbent.inspect(id);
      if (until === 'ended') await engineCall(dockerHost, 'POST', `/containers/${id}/wait`);
      else await until?.(spool);
      made[name] = { id, path: join(podSandboxConfig.log_directory ?? '', name, '0.log'), spool };
    }
  });
  await untilSynced(test);
  return made as Record<Name, Made>;
}

/**
 * Resolves once `condition` holds. The condition is checked whenever inotify reports `path`, synchronously,
 * so that no change is missed.
 */
async function untilChanged(path: string, condition: () => boolean): Promise<void> {
  const changes = watch(path);
  try {
    while (!condition()) await once(changes, 'change');
  } finally {
    changes.close();
  }
}

/** Resolves once the file, or the target of a link, has grown or is another file. */
async function untilMore(path: string): Promise<void> {
  const { size } = statSync(path);
  await untilChanged(path, () => statSync(path).size !== size);
}

const untilNamed = (directory: string, ...names: string[]): Promise<void> =>
  untilChanged(directory, () => names.every((name) => readdirSync(directory).includes(name)));

/**
 * Checks that the log is the other runtime's link, that nothing was copied next to it, and that kubelet
 * gets its path.
 */
async function expectLink({ id, path, spool }: Made): Promise<void> {
  expect((await containerStatus(test, id)).log_path).toBe(path);
  expect(await readlink(path)).toBe(spool);
  expect(await readdir(dirname(path))).toEqual([basename(path)]);
  const positions = await readdir(join(test.directory, 'state/logs')).catch(() => []);
  expect(positions).not.toContain(`${id}.json`);
}

/** Rotates as kubelet does, with output between the two steps. @returns the path of the old log. */
async function rotate({ id, path }: Made, stamp: string): Promise<string> {
  const old = `${path}.${stamp}`;
  await rename(path, old);
  await untilMore(old);
  await test.client.call('ReopenContainerLog', { container_id: id });
  for (const name of [old, path]) expect((await lstat(name)).isFile()).toBe(true);
  return old;
}

async function end(name: string, { id }: Made): Promise<void> {
  await writeFile(join(gate, name), '');
  await untilExited(test, id);
  expect((await containerStatus(test, id)).state).toBe(ContainerState.CONTAINER_EXITED);
}

async function texts(...paths: string[]): Promise<string[]> {
  const all = await Promise.all(paths.map(async (path) => parseCri(await readFile(path, 'latin1'))));
  return all.flat().map(({ text }) => text);
}

/** Returns the places where a number does not follow the one before it. */
const breaks = (lines: readonly string[], first: number): string[] =>
  lines.flatMap((line, at) => {
    const expected = at === 0 ? first : Number(lines[at - 1]) + 1;
    return line === String(expected) ? [] : [`${line} in the place of ${expected}`];
  });

/** Checks that all numbers from `first` on are there once and in order, up to the end. */
function expectCounted(lines: readonly string[], first = 1): void {
  expect(lines.at(-1)).toBe('end');
  expect(lines.length).toBeGreaterThan(1);
  expect(breaks(lines.slice(0, -1), first)).toEqual([]);
}

/**
 * Checks that the log has everything that the Engine has, up to the end. Output that an Engine had read and
 * not yet written when it was stopped is in no log, so after an Engine restart only the part that it kept
 * is compared.
 */
async function expectAllOfTheEngine({ spool }: Made, ...paths: string[]): Promise<void> {
  const name = basename(spool);
  const number = (file: string): number => Number(file.slice(name.length + 1));
  const files = (await readdir(dirname(spool))).filter((file) => file.startsWith(name));
  const kept: string[] = [];
  for (const file of files.sort((a, b) => number(b) - number(a))) {
    const records = (await readFile(join(dirname(spool), file), 'utf8')).split('\n').slice(0, -1);
    kept.push(...records.map((record) => (JSON.parse(record) as { log: string }).log.trimEnd()));
  }
  expect(kept[0]).toBe('1');
  const lines = await texts(...paths);
  expect(lines.at(-1)).toBe('end');
  expect(breaks(lines.slice(0, -1), 1)).toEqual(breaks(kept.slice(0, -1), 1));
  expect(lines).toEqual(kept);
}

/** Restarts dockbridge, then the Engine, and then both at once. */
async function restartAll(): Promise<void> {
  await test.restart();
  await untilSynced(test);
  await engine.stop();
  await untilEngineIsMissed(test);
  await engine.start();
  await untilSynced(test);
  await test.restart(async () => {
    await engine.stop();
    await engine.start();
  });
  await untilSynced(test);
}

const untilCounting = (spool: string): Promise<void> =>
  untilChanged(spool, () => readFileSync(spool, 'utf8').includes('"20\\n"'));
/** Writes 60 MiB, which takes a few seconds. */
const BIG = `yes $(printf %4000s | tr ' ' x) | head -n 15500`;

describe('the log of a running container from another runtime', () => {
  const spun = { Type: 'json-file', Config: { 'max-size': '200k', 'max-file': '8' } };
  const untilSpun = (spool: string): Promise<void> => untilNamed(dirname(spool), `${basename(spool)}.2`);
  const wanted = {
    plain: { script: counting('plain'), until: untilCounting },
    spun: { script: counting('spun', 6000), LogConfig: spun, until: untilSpun },
  };

  it('stays a link, and is a complete CRI log when the status is EXITED', async () => {
    const { plain, spun } = await takeOver(wanted);
    for (const made of [plain, spun]) await expectLink(made);
    await restartAll();
    for (const made of [plain, spun]) await expectLink(made);
    // Nobody has renamed the log, so it stays a link.
    await test.client.call('ReopenContainerLog', { container_id: plain.id });
    await expectLink(plain);
    for (const [name, made] of Object.entries({ plain, spun })) {
      await end(name, made);
      expect((await lstat(made.path)).isFile()).toBe(true);
      expect((await containerStatus(test, made.id)).log_path).toBe(made.path);
      expect(await readdir(dirname(made.path))).toEqual([basename(made.path)]);
      await expectAllOfTheEngine(made, made.path);
    }
  });

  it("survives kubelet's rotations with each line once and in order", async () => {
    const { plain, spun } = await takeOver(wanted);
    for (const [name, made] of Object.entries({ plain, spun })) {
      const old = [await rotate(made, '20261128-100000')];
      const size = (await lstat(old[0]!)).size;
      await untilMore(made.path);
      expect((await lstat(old[0]!)).size).toBe(size);
      old.push(await rotate(made, '20261128-110000'));
      await end(name, made);
      expectCounted(await texts(...old, made.path));
    }
  });

  it("survives kubelet's rotations while the container writes as fast as it can", async () => {
    const script = `until [ -e /gate/go ]; do usleep 20000; done; ${counting('flood').replace(/usleep \d+; /, '')}`;
    const { flood } = await takeOver({ flood: { script } });
    await expectLink(flood);
    await Promise.all([untilMore(flood.path), writeFile(join(gate, 'go'), '')]);
    const old = [await rotate(flood, '20261128-100000'), await rotate(flood, '20261128-110000')];
    await end('flood', flood);
    expectCounted(await texts(...old, flood.path));
  });

  it("survives a rotation between restarts, and the container's end while dockbridge is stopped", async () => {
    const { plain, spun } = await takeOver(wanted);
    await restartAll();
    const old = {
      plain: await rotate(plain, '20261128-100000'),
      spun: await rotate(spun, '20261128-100000'),
    };
    await restartAll();
    await end('plain', plain);
    await expectAllOfTheEngine(plain, old.plain, plain.path);
    await test.restart(async () => {
      await writeFile(join(gate, 'spun'), '');
      await engineCall(engine.dockerHost, 'POST', `/containers/${spun.id}/wait`);
    });
    await untilSynced(test);
    await expectAllOfTheEngine(spun, old.spun, spun.path);
  });

  it('stays a link to the whole output if nobody rotates and the container ends while dockbridge is stopped', async () => {
    const { plain } = await takeOver({ plain: wanted.plain });
    await test.restart(async () => {
      await writeFile(join(gate, 'plain'), '');
      await engineCall(engine.dockerHost, 'POST', `/containers/${plain.id}/wait`);
    });
    await untilSynced(test);
    await expectLink(plain);
    const records = (await readFile(plain.path, 'utf8')).split('\n').slice(0, -1);
    expectCounted(records.map((record) => (JSON.parse(record) as { log: string }).log.trimEnd()));
  });

  it("is put back as a link when kubelet and dockbridge died between kubelet's rename and its call", async () => {
    const { plain } = await takeOver({ plain: wanted.plain });
    const old = `${plain.path}.20261128-100000`;
    await test.restart(() => rename(plain.path, old));
    await untilSynced(test);
    await expectLink(plain);
    await rotate(plain, '20261128-100000');
    await end('plain', plain);
    expectCounted(await texts(old, plain.path));
  });

  it('says that output is missing if Docker has compressed it', async () => {
    // After 45,000 lines, the newest file has room for minutes, so Docker does not rotate in between.
    const LogConfig = { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '3', compress: 'true' } };
    const until = async (spool: string): Promise<void> => {
      await untilChanged(
        dirname(spool),
        () =>
          !readdirSync(dirname(spool)).includes(`${basename(spool)}.1`) &&
          readFileSync(spool, 'utf8').includes('"45001\\n"'),
      );
    };
    const { packed } = await takeOver({ packed: { script: counting('packed', 45_000), LogConfig, until } });
    await expectLink(packed);
    const old = await rotate(packed, '20261128-100000');
    await end('packed', packed);
    const [note, first, ...rest] = await texts(old, packed.path);
    expect(note).toMatch(/^dockbridge: earlier output is not in this file/);
    expect(Number(first)).toBeGreaterThan(1);
    expectCounted([first!, ...rest], Number(first));
  });
});

describe('the log of a container that had ended before dockbridge started', () => {
  it('stays a link whatever its size, even after restarts, and is removed with the container', async () => {
    const { big } = await takeOver({ big: { script: BIG, until: 'ended' } });
    expect((await lstat(big.spool)).size).toBeGreaterThan(60 * 1024 * 1024);
    await expectLink(big);
    await restartAll();
    await expectLink(big);
    await test.client.call('RemoveContainer', { container_id: big.id });
    expect(await readdir(dirname(big.path))).toEqual([]);
  });
});

describe('the log of a running container with much output', () => {
  it('contains the last 50 MiB when kubelet rotates, and says so', async () => {
    const script = `${BIG}; touch /gate/written; ${counting('big')}`;
    const { big } = await takeOver({ big: { script, until: () => untilNamed(gate, 'written') } });
    await expectLink(big);
    const old = await rotate(big, '20261128-100000');
    expect((await lstat(old)).size).toBeLessThan(51 * 1024 * 1024);
    expect((await lstat(old)).size).toBeGreaterThan(49 * 1024 * 1024);
    await end('big', big);
    const lines = await texts(old, big.path);
    expect(lines[0]).toMatch(/^dockbridge: earlier output is not in this file/);
    expectCounted(lines.slice(1).filter((line) => line !== 'x'.repeat(4000)));
  });
});

describe('the log of a container with another log driver', () => {
  it.each([
    ['local', /the log driver local, not json-file/],
    ['none', /discards the output of this container/],
  ])('has only one line, which says why there is no output: %s', async (Type, why) => {
    const { runs, done } = await takeOver({
      runs: { script: counting('runs'), LogConfig: { Type } },
      done: { script: 'echo done', LogConfig: { Type }, until: 'ended' },
    });
    const expectNotes = async (): Promise<void> => {
      for (const { id, path, spool } of [runs, done]) {
        expect(spool).toBe('');
        expect((await containerStatus(test, id)).log_path).toBe(path);
        expect(await texts(path)).toEqual([expect.stringMatching(why)]);
        expect(await readdir(dirname(path))).toEqual([basename(path)]);
      }
    };
    await expectNotes();
    await restartAll();
    await expectNotes();
    await end('runs', runs);
    await expectNotes();
  });
});
