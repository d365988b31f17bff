import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { SandboxCheckpoints, type SandboxCheckpointsOptions } from '../../../src/network/sandbox-checkpoints';
import {
  encodeCheckpoint,
  type SandboxCheckpoint,
} from '../../../src/translate/sandbox/cri-dockerd-checkpoint';
import { engineId, sandboxRecord } from '../support/records';

const ID = engineId('a1');
const PORTS = { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } };
const PORT = { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' };
const CHECKPOINT: SandboxCheckpoint = { name: 'web', namespace: 'shop', hostNetwork: false, ports: [PORT] };

describe('Checkpoints of sandboxes', () => {
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

  it('are kept where cri-dockerd has its directory', async () => {
    await mkdir(directory(), { recursive: true });
    await open().write(ID, CHECKPOINT);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
    expect(await readdir(directory())).toEqual([ID]);
  });

  it('are not kept on a node that never had it, and nothing is made there', async () => {
    const checkpoints = open();
    await checkpoints.write(ID, CHECKPOINT);
    await checkpoints.complete(sandboxRecord(), PORTS);
    await checkpoints.remove(ID);
    expect(await checkpoints.sandboxes()).toEqual([]);
    expect(await readdir(base)).toEqual([]);
    expect(told).toEqual([]);
  });

  it('are kept there too when asked for, and nowhere when not', async () => {
    await open({ mode: 'on' }).write(ID, CHECKPOINT);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
    await open({ mode: 'off' }).write(engineId('b2'), CHECKPOINT);
    await open({ mode: 'off' }).complete(sandboxRecord({ id: engineId('b2') }), PORTS);
    expect(await readdir(directory())).toEqual([ID]);
  });

  it('are completed where they are missing or cri-dockerd would reject them, once', async () => {
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

  it('are left as cri-dockerd wrote them', async () => {
    await mkdir(directory(), { recursive: true });
    const its = encodeCheckpoint({ ...CHECKPOINT, ports: [PORT, { ...PORT, hostPort: 0 }] });
    await writeFile(join(directory(), ID), its);
    await open().complete(sandboxRecord(), PORTS);
    expect(await textOf()).toBe(its);
  });

  it("are made of dockershim's, which have all ports", async () => {
    await mkdir(directory(), { recursive: true });
    await mkdir(oldDirectory(), { recursive: true });
    const ports = [{ ...PORT, hostIp: '10.0.0.1' }];
    const old = encodeCheckpoint({ ...CHECKPOINT, ports }).replace(/"checksum":\d+/, '"checksum":1');
    await writeFile(join(oldDirectory(), ID), old);
    await open().complete(sandboxRecord(), {});
    expect(await textOf()).toBe(encodeCheckpoint({ ...CHECKPOINT, ports }));
  });

  it('are made for a hand-over whatever the mode is', async () => {
    const checkpoints = open({ mode: 'off' });
    expect(await checkpoints.ensure(sandboxRecord(), PORTS)).toBe(true);
    expect(await checkpoints.ensure(sandboxRecord(), PORTS)).toBe(false);
    expect(await textOf()).toBe(encodeCheckpoint(CHECKPOINT));
  });

  it("go with their sandbox, dockershim's too, in every mode", async () => {
    for (const path of [directory(), oldDirectory()]) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, ID), encodeCheckpoint(CHECKPOINT));
    }
    await open({ mode: 'off' }).remove(ID);
    expect([...(await readdir(directory())), ...(await readdir(oldDirectory()))]).toEqual([]);
  });

  it('tell the sandboxes they are of, and nothing else; half-written ones of a killed daemon go', async () => {
    for (const path of [directory(), oldDirectory()]) await mkdir(path, { recursive: true });
    await writeFile(join(directory(), ID), '');
    await writeFile(join(oldDirectory(), engineId('b2')), '');
    const others = ['.123456789', 'README', '.hidden.dockbridge'];
    for (const name of [...others, `.${ID}.dockbridge`]) await writeFile(join(directory(), name), '');
    expect(await open().sandboxes()).toEqual([ID, engineId('b2')]);
    expect((await readdir(directory())).sort()).toEqual([...others, ID].sort());
  });

  it('of no sandbox go, unless a cri-dockerd works there', async () => {
    await mkdir(directory(), { recursive: true });
    await writeFile(join(directory(), ID), '');
    await open({ isInUse: () => Promise.resolve(true) }).removeOrphan(ID);
    expect(await readdir(directory())).toEqual([ID]);
    await open().removeOrphan(ID);
    expect(await readdir(directory())).toEqual([]);
  });

  it('that cannot be written stop nobody and are told of once, until it goes well again', async () => {
    await mkdir(join(base, 'cri-dockerd'));
    // Root may write anywhere: what it cannot write below is a file.
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
});
