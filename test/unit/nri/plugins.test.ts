import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failedPrecondition } from '../../../src/lib/errors';
import { loggerInto, thresholdOf } from '../../../src/lib/logger';
import { findInstalled } from '../../../src/nri/installed';
import { Plugins, type PluginsOptions } from '../../../src/nri/plugins';
import type { Decoded } from '../../../src/proto';
import type { nri } from '../../../src/proto/nri';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { FakePlugin } from './fake-plugin';

let directory: string;
let lines: [level: string, message: string, fields: Record<string, unknown>][];
let plugins: Plugins;
let sockets: Socket[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-nri-'));
  lines = [];
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await plugins.stop();
  await rm(directory, { recursive: true, force: true });
});

const socketPath = (): string => join(directory, 'run', 'nri.sock');

async function start(options: Partial<PluginsOptions> = {}): Promise<void> {
  const logger = loggerInto(
    (level, message, fields) => lines.push([level, message(), fields()]),
    thresholdOf('info'),
  );
  plugins = new Plugins({
    runtimeName: 'dockbridge',
    runtimeVersion: '1',
    limits: { registrationMs: 30_000, requestMs: 30_000 },
    socketPath: socketPath(),
    pluginDir: join(directory, 'plugins'),
    configDir: join(directory, 'conf.d'),
    disableExternal: false,
    snapshot: () => Promise.resolve({ pods: [], containers: [] }),
    update: () => Promise.resolve([]),
    logger,
    ...options,
  });
  await plugins.start();
}

type Handlers = ConstructorParameters<typeof FakePlugin>[1];

/** Connects a plugin without waiting for its synchronization. */
async function arrive(fullName: string, handlers: Handlers = {}): Promise<FakePlugin> {
  const socket = connect(socketPath());
  sockets.push(socket);
  await once(socket, 'connect');
  const fake = new FakePlugin(socket, handlers);
  const [index = '', name = ''] = fullName.split('-');
  await fake.register(name, index);
  return fake;
}

async function attach(fullName: string, handlers: Handlers = {}): Promise<FakePlugin> {
  const fake = await arrive(fullName, handlers);
  await until(() => plugins.names.includes(fullName), fullName);
  return fake;
}

const MESSAGES = (): string[] => lines.map(([, message]) => message);
const POD: nri.IPodSandbox = { id: 'p' };

describe('The socket for plugins', () => {
  it('belongs to root alone, in a directory of its own', async () => {
    await start();
    const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
    expect([await mode(socketPath()), await mode(join(directory, 'run'))]).toEqual([0o600, 0o700]);
  });

  it('does not exist if external plugins are disabled', async () => {
    await start({ disableExternal: true });
    await expect(lstat(socketPath())).rejects.toThrow('ENOENT');
  });

  it('is removed by stop, which also shuts the plugins down', async () => {
    await start();
    const fake = await attach('10-a', { Shutdown: () => ({}) });
    await plugins.stop();
    await expect(lstat(socketPath())).rejects.toThrow('ENOENT');
    await fake.mux.closed;
    expect(fake.calls.at(-1)).toBe('Shutdown');
    expect((plugins as unknown as { server: Server }).server.listening).toBe(false);
    expect(MESSAGES()).toEqual(['An NRI plugin is connected']);
  });

  it('has 64 connections at most', async () => {
    await start();
    for (let count = 0; count < 65; count++) {
      const socket = connect(socketPath());
      sockets.push(socket);
      await once(socket, 'connect');
    }
    await once(sockets.at(-1)!.resume(), 'close');
    expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1);
  });

  it('is not taken from another daemon that listens on it', async () => {
    await start();
    const other = new Plugins({
      ...(plugins as unknown as { options: PluginsOptions }).options,
    });
    expect(await rejectionOf(other.start())).toMatch(/^FAILED_PRECONDITION another process already answers/);
    expect((await stat(socketPath())).isSocket()).toBe(true);
  });
});

describe('A plugin that connects', () => {
  it('learns of the pods and containers, and its updates are made', async () => {
    const updated: unknown[] = [];
    await start({
      snapshot: () => Promise.resolve({ pods: [POD], containers: [{ id: 'c' }] }),
      update: (updates) => {
        updated.push(...updates.map(({ container_id }) => container_id));
        return Promise.resolve([...updates]);
      },
    });
    const seen: string[] = [];
    await attach('10-a', {
      Synchronize: ({ pods, containers }: Decoded<nri.ISynchronizeRequest>) => {
        seen.push(...pods.map(({ id }) => id), ...containers.map(({ id }) => id));
        return { update: [{ container_id: 'x' }] };
      },
    });
    expect([seen, updated]).toEqual([['p', 'c'], ['x']]);
    expect(lines).toEqual([
      ['warn', 'Updates for which an NRI plugin asked have failed', { plugin: '10-a', containers: 1 }],
      ['info', 'An NRI plugin is connected', { plugin: '10-a', plugins: ['10-a'] }],
    ]);
  });

  it('gets its place by its index, then by its name', async () => {
    await start();
    for (const name of ['20-a', '10-c', '30-a', '10-b']) await attach(name);
    expect(plugins.names).toEqual(['10-b', '10-c', '20-a', '30-a']);
  });

  it('is synchronized only when no operation runs, and operations do not wait for it', async () => {
    await start();
    const operation = gate();
    const running = plugins.gate.operate(() => operation.promise);
    const fake = await arrive('10-a', { RunPodSandbox: () => ({}) });
    await until(() => fake.calls.includes('Configure'));
    await plugins.gate.operate(() => plugins.notify('RunPodSandbox', { pod: POD }));
    await settle();
    expect([fake.calls, plugins.names]).toEqual([['Configure'], []]);
    operation.resolve();
    await running;
    await until(() => plugins.names.length === 1);
    await plugins.gate.operate(() => plugins.notify('RunPodSandbox', { pod: POD }));
    expect(fake.calls).toEqual(['Configure', 'Synchronize', 'RunPodSandbox']);
  });

  it('is dropped if it cannot be synchronized', async () => {
    await start();
    const fake = await arrive('10-a', { Synchronize: () => Promise.reject(failedPrecondition('no')) });
    await fake.mux.closed;
    expect(plugins.names).toEqual([]);
    expect(lines).toEqual([['warn', 'An NRI plugin is dropped', { plugin: '10-a', error: 'no' }]]);
  });

  it('is dropped if the pods and containers cannot be read', async () => {
    await start({ snapshot: () => Promise.reject(new Error('no Engine')) });
    const fake = await arrive('10-a');
    await fake.mux.closed;
    expect(lines).toEqual([['warn', 'An NRI plugin is dropped', { plugin: '10-a', error: 'no Engine' }]]);
  });

  it('does not delay others while it does not register', async () => {
    await start();
    const silent = connect(socketPath());
    sockets.push(silent);
    await once(silent, 'connect');
    await attach('10-a');
    expect(plugins.names).toEqual(['10-a']);
  });

  it('is forgotten when it goes away', async () => {
    await start();
    const fake = await attach('10-a');
    fake.mux.close(failedPrecondition('bye'));
    await until(() => plugins.names.length === 0);
    await plugins.notify('RunPodSandbox', { pod: POD });
    expect(MESSAGES()).toEqual(['An NRI plugin is connected', 'An NRI plugin is dropped']);
  });
});

describe('A request', () => {
  it('reaches the plugins one after the other, in order', async () => {
    await start();
    const order: string[] = [];
    const first = gate();
    await attach('20-b', {
      RunPodSandbox: () => {
        order.push('b');
        return {};
      },
    });
    await attach('10-a', {
      RunPodSandbox: async () => {
        order.push('a begins');
        await first.promise;
        order.push('a ends');
        return {};
      },
    });
    const one = plugins.notify('RunPodSandbox', { pod: POD });
    const two = plugins.notify('StopPodSandbox', { pod: POD }).then(
      () => order.push('stopped'),
      () => order.push('refused'),
    );
    await until(() => order.length === 1);
    first.resolve();
    await Promise.all([one, two]);
    expect(order).toEqual(['a begins', 'a ends', 'b', 'refused']);
  });

  it('ends at the first plugin that refuses', async () => {
    await start();
    await attach('10-a', { RunPodSandbox: () => Promise.reject(failedPrecondition('no')) });
    const later = await attach('20-b', { RunPodSandbox: () => ({}) });
    expect(await rejectionOf(plugins.notify('RunPodSandbox', { pod: POD }))).toBe('FAILED_PRECONDITION no');
    expect(later.calls).not.toContain('RunPodSandbox');
  });

  it('goes on without a plugin that hangs', async () => {
    let next = 30_000;
    const limits = {
      registrationMs: 30_000,
      /** The limit of the next request alone. */
      get requestMs(): number {
        const ms = next;
        next = 30_000;
        return ms;
      },
    };
    await start({ limits });
    await attach('10-a', { RunPodSandbox: () => new Promise(() => undefined) });
    const later = await attach('20-b', { RunPodSandbox: () => ({}) });
    next = 100;
    await plugins.notify('RunPodSandbox', { pod: POD });
    expect(later.calls).toContain('RunPodSandbox');
    expect(plugins.names).toEqual(['20-b']);
  });
});

/** The mask without ValidateContainerAdjustment. */
const NO_CHECKS = { Configure: () => ({ events: 0x1fff }) };

describe('Plugins.createContainer', () => {
  it('shows each plugin the changes of those before it, and returns all changes', async () => {
    await start();
    const seen: string[][] = [];
    const handler = (key: string): Handlers => ({
      ...NO_CHECKS,
      CreateContainer: ({ container }: Decoded<nri.ICreateContainerRequest>) => {
        seen.push(container?.env ?? []);
        return {
          adjust: { env: [{ key, value: '1' }] },
          update: [{ container_id: `of ${key}` }],
          evict: [{ container_id: key }],
        };
      },
    });
    await attach('20-b', handler('B'));
    await attach('10-a', handler('A'));
    await attach('15-none', { ...NO_CHECKS, CreateContainer: () => ({}) });
    const { adjust, updates, evictions } = await plugins.createContainer(POD, { id: 'c', env: ['X=0'] });
    expect(seen).toEqual([['X=0'], ['X=0', 'A=1']]);
    expect(adjust.env).toMatchObject([{ key: 'A' }, { key: 'B' }]);
    expect(updates).toMatchObject([{ container_id: 'of A' }, { container_id: 'of B' }]);
    expect(evictions).toMatchObject([{ container_id: 'A' }, { container_id: 'B' }]);
  });

  it('fails at a conflict', async () => {
    await start();
    const handlers = { ...NO_CHECKS, CreateContainer: () => ({ adjust: { args: ['x'] } }) };
    await attach('10-a', handlers);
    await attach('20-b', handlers);
    expect(await rejectionOf(plugins.createContainer(POD, { id: 'c' }))).toBe(
      'FAILED_PRECONDITION the NRI plugins "20-b" and "10-a" both tried to set Args',
    );
  });

  it('asks the plugins that check adjustments, with the owners', async () => {
    await start();
    const asked: Decoded<nri.IValidateContainerAdjustmentRequest>[] = [];
    await attach('10-a', {
      ...NO_CHECKS,
      CreateContainer: () => ({
        adjust: { env: [{ key: 'A' }], linux: { oom_score_adj: { value: 1 } } },
        update: [{ container_id: 'x' }],
      }),
    });
    await attach('20-check', {
      Configure: () => ({ events: 1 << 13 }),
      ValidateContainerAdjustment: (request: Decoded<nri.IValidateContainerAdjustmentRequest>) => {
        asked.push(request);
        return { reject: true, reason: 'too bold' };
      },
    });
    expect(await rejectionOf(plugins.createContainer(POD, { id: 'c', env: ['X=0'] }))).toBe(
      'FAILED_PRECONDITION the NRI plugin "20-check" rejects the adjustments: too bold',
    );
    const [request] = asked;
    expect(request?.container?.env).toEqual(['X=0']);
    expect(request?.adjust?.env).toMatchObject([{ key: 'A' }]);
    expect(request?.update).toMatchObject([{ container_id: 'x' }]);
    expect(request?.plugins).toMatchObject([
      { name: 'a', index: '10' },
      { name: 'check', index: '20' },
    ]);
    const owners = request?.owners?.owners.c;
    expect(owners?.simple).toEqual({ 29: '10-a' });
    expect(owners?.compound?.[6]?.owners).toEqual({ A: '10-a' });
  });

  it('fails if a plugin that checks adjustments dies', async () => {
    await start();
    const fake: FakePlugin = await attach('20-check', {
      Configure: () => ({ events: 1 << 13 }),
      ValidateContainerAdjustment: () => {
        fake.mux.close(failedPrecondition('dies'));
        return {};
      },
    });
    expect(await rejectionOf(plugins.createContainer(POD, { id: 'c' }))).toBe(
      'FAILED_PRECONDITION the NRI plugin "20-check" failed to check the adjustments',
    );
  });
});

describe('Plugins.updateContainer', () => {
  it('returns the changed resources of the container and updates of others', async () => {
    await start();
    const seen: number[] = [];
    const handler = (limit: nri.ILinuxResources): Handlers => ({
      UpdateContainer: ({ linux_resources }: Decoded<nri.IUpdateContainerRequest>) => {
        seen.push(Number(linux_resources?.memory?.limit?.value));
        return {
          update: [{ container_id: 'c', linux: { resources: limit } }, { container_id: 'x' }],
        };
      },
    });
    await attach('10-a', handler({ memory: { limit: { value: 5 } } }));
    await attach('20-b', handler({ cpu: { cpus: '1' } }));
    const { resources, others } = await plugins.updateContainer({
      pod: POD,
      container: { id: 'c' },
      linux_resources: { memory: { limit: { value: 9 } } },
    });
    expect(seen).toEqual([9, 5]);
    expect([Number(resources?.memory?.limit?.value), resources?.cpu?.cpus]).toEqual([5, '1']);
    expect(others).toMatchObject([{ container_id: 'x' }]);
  });
});

describe('Plugins.stopContainer', () => {
  it('returns the updates of other containers', async () => {
    await start();
    await attach('10-a', { StopContainer: () => ({ update: [{ container_id: 'x' }] }) });
    expect(await plugins.stopContainer({ pod: POD, container: { id: 'c' } })).toMatchObject([
      { container_id: 'x' },
    ]);
  });
});

describe('An update that a plugin asks for by itself', () => {
  it('waits until the running request is over', async () => {
    const order: string[] = [];
    await start({
      update: () => {
        order.push('updated');
        return Promise.resolve([]);
      },
    });
    const request = gate();
    const fake = await attach('10-a', {
      RunPodSandbox: async () => {
        order.push('request');
        await request.promise;
        order.push('answered');
        return {};
      },
    });
    const running = plugins.notify('RunPodSandbox', { pod: POD });
    await until(() => order.length === 1);
    const updated = fake.update([{ container_id: 'x' }]);
    await settle();
    request.resolve();
    await Promise.all([running, updated]);
    expect(order).toEqual(['request', 'answered', 'updated']);
  });
});

describe('Installed plugins', () => {
  const LOADER = require.resolve('../support/load-typescript.cjs');
  const PROGRAM = require.resolve('./installed-plugin');

  async function install(file: string, text: string, mode = 0o755): Promise<void> {
    await mkdir(join(directory, 'plugins'), { recursive: true });
    await writeFile(join(directory, 'plugins', file), text);
    await chmod(join(directory, 'plugins', file), mode);
  }
  const program = (): string =>
    `#!${process.execPath}\nrequire(${JSON.stringify(LOADER)});\nrequire(${JSON.stringify(PROGRAM)});\n`;
  async function configure(file: string, text: string): Promise<void> {
    await mkdir(join(directory, 'conf.d'), { recursive: true });
    await writeFile(join(directory, 'conf.d', file), text);
  }
  interface Facts {
    pid: number;
    variables: string[];
    directory: string;
  }
  const factsAt = async (path: string): Promise<Facts> => JSON.parse(await readFile(path, 'utf8')) as Facts;
  function isAlive(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  it('are found in order, with the configuration for their index or their name', async () => {
    await start();
    await install('20-b', '');
    await install('10-a-x', '');
    await install('30-none', '');
    await install('README', 'not executable', 0o644);
    await mkdir(join(directory, 'plugins', '40-directory'));
    await configure('20-b.conf', 'own');
    await configure('b.conf', 'common');
    await configure('a-x.conf', 'common a');
    expect(await findInstalled(join(directory, 'plugins'), join(directory, 'conf.d'))).toEqual([
      { index: '10', name: 'a-x', config: 'common a' },
      { index: '20', name: 'b', config: 'own' },
      { index: '30', name: 'none', config: '' },
    ]);
  });

  it('make the start fail when an executable file has another name', async () => {
    await install('logger', '');
    expect(await rejectionOf(start())).toMatch(
      /^FAILED_PRECONDITION .*logger is executable, but its name is not like 10-logger/,
    );
  });

  it('are run with a connected socket, and end with dockbridge', async () => {
    await install('10-a', program());
    await configure('10-a.conf', join(directory, 'facts'));
    await start({ disableExternal: true });
    expect(plugins.names).toEqual(['10-a']);
    const facts = await factsAt(join(directory, 'facts'));
    expect(facts).toMatchObject({
      variables: ['NRI_PLUGIN_IDX', 'NRI_PLUGIN_NAME', 'NRI_PLUGIN_SOCKET'],
      directory: '/',
    });
    expect(isAlive(facts.pid)).toBe(true);
    await plugins.stop();
    expect(isAlive(facts.pid)).toBe(false);
  });

  it('are ended when the start fails because of the socket', async () => {
    await install('10-a', program());
    await configure('10-a.conf', join(directory, 'facts'));
    await mkdir(socketPath(), { recursive: true });
    expect(await rejectionOf(start())).toMatch(/^FAILED_PRECONDITION .*exists and is not a socket/);
    expect(isAlive((await factsAt(join(directory, 'facts'))).pid)).toBe(false);
  });

  it('are dropped and not started again when they die', async () => {
    await install('10-a', program());
    await configure('10-a.conf', join(directory, 'facts'));
    await start({ disableExternal: true });
    await plugins.notify('RunPodSandbox', { pod: POD });
    await until(() => plugins.names.length === 0);
    const { pid } = await factsAt(join(directory, 'facts'));
    await until(() => !isAlive(pid));
    expect(MESSAGES()).toEqual(['An NRI plugin is connected', 'An NRI plugin is dropped']);
  });

  it('that cannot be run are logged, and the others work', async () => {
    await install('10-broken', '#!/missing/interpreter\n');
    await install('30-a', program());
    await configure('a.conf', join(directory, 'facts'));
    await start({ disableExternal: true });
    expect(plugins.names).toEqual(['30-a']);
    expect(lines).toMatchObject([
      ['warn', 'An NRI plugin cannot be run', { plugin: '10-broken' }],
      ['info', 'An NRI plugin is connected', { plugin: '30-a' }],
    ]);
  });

  it('that do not register are killed', async () => {
    const pidFile = join(directory, 'pid');
    await install('20-silent', `#!/bin/sh\necho $$ > '${pidFile}'\nexec sleep 1000\n`);
    // The plugin writes its file long before the limit, even on a busy machine.
    await start({ disableExternal: true, limits: { registrationMs: 3_000, requestMs: 30_000 } });
    const pid = Number(await readFile(pidFile, 'utf8'));
    await until(() => !isAlive(pid));
    expect(lines).toMatchObject([['warn', 'An NRI plugin is dropped', { plugin: '20-silent' }]]);
  });
});
