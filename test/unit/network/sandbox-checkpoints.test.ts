import { existsSync } from 'node:fs';
import fsPromises, { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import {
  SandboxCheckpoints,
  UntouchedCheckpoints,
  type SandboxCheckpointsOptions,
} from '../../../src/network/sandbox-checkpoints';
import {
  encodeCheckpoint,
  type SandboxCheckpoint,
} from '../../../src/translate/sandbox/cri-dockerd-checkpoint';
import { gate, until } from '../support/async';
import { engineId, sandboxRecord } from '../support/records';

const ID = engineId('a1');
const PORTS = { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } };
const PORT = { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' };
const CHECKPOINT: SandboxCheckpoint = { name: 'web', namespace: 'shop', hostNetwork: false, ports: [PORT] };

describe('checkpoints of sandboxes', () => {
  let base: string;
  let told: string[];
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'checkpoints-'));
    told = [];
  });
  afterEach(() => rm(base, { recursive: true }));

  const directory = (): string => join(base, 'cri-dockerd/sandbox');
  const oldDirectory = (): string => join(base, 'dockershim/sandbox');
  const textOf = (id = ID): Promise<string> => readFile(join(directory(), id), 'utf8');

  function open(over: Partial<SandboxCheckpointsOptions> = {}): SandboxCheckpoints {
    return new SandboxCheckpoints({
      mode: 'auto',
      root: join(base, 'cri-dockerd'),
      dockershimRoot: join(base, 'dockershim'),
      isInUse: () => Promise.resolve(false),
      logger: {
        ...silentLogger,
        warn: (message) => void told.push(`warn ${message}`),
        info: (message) => void told.push(`info ${message}`),
      },
      ...over,
    });
  }

  it("are kept in cri-dockerd's directory if it exists", async () => {
    await mkdir(directory(), { recursive: true });
    await open().write(ID, CHECKPOINT);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
    expect(await readdir(directory())).toEqual([ID]);
  });

  it('are not kept on a node that never had the directory, and no directory is created', async () => {
    const checkpoints = open();
    await checkpoints.write(ID, CHECKPOINT);
    await checkpoints.complete(sandboxRecord(), PORTS);
    await checkpoints.remove(ID);
    expect(await checkpoints.sandboxes()).toEqual([]);
    expect(await readdir(base)).toEqual([]);
    expect(told).toEqual([]);
  });

  it('are kept in a new directory if requested, and nowhere if switched off', async () => {
    await open({ mode: 'on' }).write(ID, CHECKPOINT);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
    await open({ mode: 'off' }).write(engineId('b2'), CHECKPOINT);
    await open({ mode: 'off' }).complete(sandboxRecord({ id: engineId('b2') }), PORTS);
    expect(await readdir(directory())).toEqual([ID]);
  });

  it('are completed once if they are missing or cri-dockerd would reject them', async () => {
    await mkdir(directory(), { recursive: true });
    const checkpoints = open();
    await checkpoints.complete(sandboxRecord(), PORTS);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
    await writeFile(join(directory(), ID), '');
    await checkpoints.complete(sandboxRecord(), PORTS);
    expect(await textOf()).toBe('');
    await open().complete(sandboxRecord(), PORTS);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
  });

  it('stay as cri-dockerd wrote them', async () => {
    await mkdir(directory(), { recursive: true });
    const its = encodeCheckpoint({ ...CHECKPOINT, ports: [PORT, { ...PORT, hostPort: 0 }] });
    await writeFile(join(directory(), ID), its);
    await open().complete(sandboxRecord(), PORTS);
    expect(await textOf()).toBe(its);
  });

  it("are made from dockershim's, which have all ports", async () => {
    await mkdir(directory(), { recursive: true });
    await mkdir(oldDirectory(), { recursive: true });
    const ports = [{ ...PORT, hostIp: '10.0.0.1' }];
    const old = encodeCheckpoint({ ...CHECKPOINT, ports }).replace(/"checksum":\d+/, '"checksum":1');
    await writeFile(join(oldDirectory(), ID), old);
    await open().complete(sandboxRecord(), {});
    expect(await textOf()).toBe(encodeCheckpoint({ ...CHECKPOINT, ports }));
  });

  it('are made for a hand-over in every mode', async () => {
    const checkpoints = open({ mode: 'off' });
    expect(await checkpoints.ensure(sandboxRecord(), PORTS)).toBe(true);
    expect(await checkpoints.ensure(sandboxRecord(), PORTS)).toBe(false);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
  });

  it("are removed with their sandbox, including dockershim's, in every mode", async () => {
    for (const path of [directory(), oldDirectory()]) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, ID), encodeCheckpoint(CHECKPOINT));
    }
    await open({ mode: 'off' }).remove(ID);
    expect([...(await readdir(directory())), ...(await readdir(oldDirectory()))]).toEqual([]);
  });

  it('list the sandboxes that they belong to, and half-written ones of a killed daemon are removed', async () => {
    for (const path of [directory(), oldDirectory()]) await mkdir(path, { recursive: true });
    await writeFile(join(directory(), ID), '');
    await writeFile(join(oldDirectory(), engineId('b2')), '');
    const others = ['.123456789', 'README', '.hidden.dockbridge'];
    for (const name of [...others, `.${ID}.dockbridge`]) await writeFile(join(directory(), name), '');
    expect(await open().sandboxes()).toEqual([ID, engineId('b2')]);
    expect((await readdir(directory())).sort()).toEqual([...others, ID].sort());
  });

  it('without a sandbox are removed, unless a cri-dockerd uses the directory', async () => {
    await mkdir(directory(), { recursive: true });
    await writeFile(join(directory(), ID), '');
    await open({ isInUse: () => Promise.resolve(true) }).removeOrphan(ID);
    expect(await readdir(directory())).toEqual([ID]);
    await open().removeOrphan(ID);
    expect(await readdir(directory())).toEqual([]);
  });

  it('that cannot be written fail no call, and are logged once until a write succeeds', async () => {
    await mkdir(join(base, 'cri-dockerd'));
    // Root may write anywhere, but not below a file.
    await writeFile(directory(), '');
    const checkpoints = open({ mode: 'on' });
    await checkpoints.write(ID, CHECKPOINT);
    await checkpoints.write(engineId('b2'), CHECKPOINT);
    await checkpoints.complete(sandboxRecord(), PORTS);
    expect(told).toEqual([expect.stringMatching(/^warn Cannot maintain cri-dockerd's checkpoints/)]);
    await rm(directory());
    await checkpoints.write(ID, CHECKPOINT);
    expect(told).toEqual([expect.anything(), "info cri-dockerd's checkpoints are maintained again"]);
  });

  it('are files that only root, the user of cri-dockerd, can read and write', async () => {
    await open({ mode: 'on' }).write(ID, CHECKPOINT);
    expect((await stat(join(directory(), ID))).mode & 0o777).toBe(0o600);
    expect((await stat(directory())).mode & 0o777).toBe(0o755);
  });

  it('are not read again once they are known to be complete, until they are removed', async () => {
    await mkdir(directory(), { recursive: true });
    const checkpoints = open();
    const reads = jest.spyOn(fsPromises, 'readFile');
    const looks = async (): Promise<number> => {
      const before = reads.mock.calls.length;
      await checkpoints.complete(sandboxRecord(), PORTS);
      return reads.mock.calls.length - before;
    };
    try {
      await checkpoints.write(ID, CHECKPOINT);
      expect(await looks()).toBe(0);
      await checkpoints.remove(ID);
      // Our checkpoint is missing, and so is dockershim's, so both are looked for.
      expect(await looks()).toBe(2);
      expect(await looks()).toBe(0);
      const other = open();
      await other.complete(sandboxRecord(), PORTS);
      const before = reads.mock.calls.length;
      await other.complete(sandboxRecord(), PORTS);
      expect(reads.mock.calls).toHaveLength(before);
    } finally {
      reads.mockRestore();
    }
  });

  it('are not written again if they are complete', async () => {
    await open({ mode: 'on' }).write(ID, CHECKPOINT);
    const { ino } = await stat(join(directory(), ID));
    await utimes(join(directory(), ID), 1, 1);
    expect(await open().ensure(sandboxRecord(), PORTS)).toBe(false);
    await open().complete(sandboxRecord(), PORTS);
    expect((await stat(join(directory(), ID))).ino).toBe(ino);
  });

  it('leave no draft that could not be renamed', async () => {
    await mkdir(join(directory(), ID), { recursive: true });
    const checkpoints = open();
    await checkpoints.write(ID, CHECKPOINT);
    expect(await readdir(directory())).toEqual([ID]);
    await expect(checkpoints.ensure(sandboxRecord(), PORTS)).rejects.toThrow(/EISDIR/);
    expect(told).toEqual([expect.stringMatching(/^warn /)]);
    // After the failure, no checkpoint counts as complete.
    await rm(join(directory(), ID), { recursive: true });
    await checkpoints.complete(sandboxRecord(), PORTS);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
  });

  it('are not made without a directory, unless the option requests them', async () => {
    await expect(open().ensure(sandboxRecord(), PORTS, false)).resolves.toBe(false);
    expect(await readdir(base)).toEqual([]);
    await expect(open({ mode: 'off' }).ensure(sandboxRecord(), PORTS, false)).rejects.toThrow(/ENOENT/);
    await expect(open({ mode: 'on' }).ensure(sandboxRecord(), PORTS, false)).resolves.toBe(true);
  });

  it.each([
    ['ENOENT', false],
    ['ENOTDIR', false],
    ['EISDIR', true],
  ])(
    "are made if reading dockershim's fails with %s, unless that is a real failure: %p",
    async (code, fails) => {
      if (code === 'ENOTDIR') {
        await mkdir(join(base, 'dockershim'));
        await writeFile(oldDirectory(), '');
      } else await mkdir(code === 'EISDIR' ? join(oldDirectory(), ID) : oldDirectory(), { recursive: true });
      const ensuring = open({ mode: 'on' }).ensure(sandboxRecord(), PORTS);
      if (fails) await expect(ensuring).rejects.toThrow(code);
      else expect(await ensuring).toBe(true);
    },
  );

  it('cause one log line for each kind of trouble, and each trouble ends separately', async () => {
    const lines: unknown[] = [];
    const note =
      (level: string) =>
      (...line: unknown[]): void =>
        void lines.push([level, ...line]);
    const logger = { ...silentLogger, warn: note('warn'), info: note('info') };
    const checkpoints = open({ mode: 'on', logger });
    const trouble = (operation: string): unknown[] => [
      'warn',
      "Cannot maintain cri-dockerd's checkpoints; pods keep running, but after a return to cri-dockerd their host ports may remain",
      { operation, directory: directory(), error: expect.stringMatching(/./) as string },
    ];
    const over = (operation: string): unknown[] => [
      ...['info', "cri-dockerd's checkpoints are maintained again", { operation }],
    ];
    // A directory cannot be removed as a file, nor replaced by one.
    await mkdir(join(directory(), ID), { recursive: true });
    for (let time = 0; time < 2; time++) await checkpoints.complete(sandboxRecord(), PORTS);
    for (let time = 0; time < 2; time++) await checkpoints.remove(ID);
    expect(lines).toEqual([trouble('write'), trouble('remove')]);
    await rm(join(directory(), ID), { recursive: true });
    await checkpoints.remove(ID);
    expect(lines.slice(2)).toEqual([over('remove')]);
    await checkpoints.complete(sandboxRecord(), PORTS);
    await checkpoints.write(ID, CHECKPOINT);
    expect(lines.slice(3)).toEqual([over('write')]);
    const list = jest.spyOn(fsPromises, 'readdir').mockRejectedValue(new Error('EIO'));
    try {
      expect(await checkpoints.sandboxes()).toEqual([]);
      expect(lines.slice(4)).toEqual([trouble('list')]);
    } finally {
      list.mockRestore();
    }
  });

  it('that are being written are not drafts of a killed daemon', async () => {
    await mkdir(directory(), { recursive: true });
    const held = gate();
    const real = fsPromises.writeFile;
    const draft = join(directory(), `.${ID}.dockbridge`);
    const write = jest.spyOn(fsPromises, 'writeFile').mockImplementation(async (...args) => {
      await real(...args);
      await held.promise;
    });
    try {
      const checkpoints = open();
      const writing = checkpoints.write(ID, CHECKPOINT);
      await until(() => existsSync(draft), 'the draft');
      await checkpoints.sandboxes();
      expect(existsSync(draft)).toBe(true);
      held.resolve();
      await writing;
      expect(await readdir(directory())).toEqual([ID]);
      write.mockRestore();
      await writeFile(draft, '');
      await checkpoints.sandboxes();
      expect(await readdir(directory())).toEqual([ID]);
    } finally {
      write.mockRestore();
    }
  });

  it('without a sandbox stay if it is unknown whether cri-dockerd runs', async () => {
    await mkdir(directory(), { recursive: true });
    await writeFile(join(directory(), ID), '');
    await open({ isInUse: () => Promise.reject(new Error('EIO')) }).removeOrphan(ID);
    expect(await readdir(directory())).toEqual([ID]);
  });

  it('are ignored by an observing daemon', async () => {
    const untouched = new UntouchedCheckpoints();
    await Promise.all([
      untouched.write(),
      untouched.complete(),
      untouched.remove(),
      untouched.removeOrphan(),
    ]);
    expect([await untouched.ensure(), await untouched.sandboxes()]).toEqual([false, []]);
  });
});
