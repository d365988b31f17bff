import { Readable } from 'node:stream';
import type { DockerClient } from '../../../src/docker/client';
import { type EngineCall, instrument, readOnly } from '../../../src/docker/decorators';
import { DockerodeClient } from '../../../src/docker/dockerode-client';
import { EngineServer, reply } from '../../fakes/engine-server';

class Fake {
  private readonly secret = 'this is right';
  readonly option = 7;
  readonly seen: unknown[][] = [];

  async version(...args: unknown[]): Promise<string> {
    this.seen.push(args);
    return Promise.resolve(this.secret);
  }
  async info(): Promise<never> {
    return Promise.reject(new Error('no'));
  }
  ping(): Promise<void> {
    throw new Error('thrown at once');
  }
}

let calls: EngineCall[];
let fake: Fake;
let client: DockerClient;

beforeEach(() => {
  calls = [];
  fake = new Fake();
  client = instrument(fake as unknown as DockerClient, (call) => calls.push(call));
});

it('instrument passes arguments, result and `this` through, and reports the call', async () => {
  const options = { signal: new AbortController().signal };
  expect(await client.version(options)).toBe('this is right');
  expect(fake.seen).toEqual([[options]]);
  expect(calls).toEqual([{ operation: 'version', error: undefined, seconds: expect.any(Number) as number }]);
  expect(calls[0]!.seconds).toBeGreaterThanOrEqual(0);
});

it('instrument reports a rejection and passes on the same error', async () => {
  const error: unknown = await client.info().catch((thrown: unknown) => thrown);
  expect(error).toEqual(new Error('no'));
  expect(calls).toEqual([expect.objectContaining({ operation: 'info' })]);
  expect(calls[0]!.error).toBe(error);
});

it('instrument turns a synchronous throw into a rejection', async () => {
  await expect(client.ping()).rejects.toThrow('thrown at once');
  expect(calls).toHaveLength(1);
});

it('instrument reports a call only when it has ended', async () => {
  let end!: () => void;
  const slow = { ping: () => new Promise<void>((resolve) => (end = resolve)) } as unknown as DockerClient;
  const pending = instrument(slow, (call) => calls.push(call)).ping();
  expect(calls).toEqual([]);
  end();
  await pending;
  expect(calls).toHaveLength(1);
});

it('instrument leaves properties that are not methods unchanged', () => {
  expect((client as unknown as Fake).option).toBe(7);
});

type Ask = (client: DockerClient) => Promise<unknown>;
const SIZE = { width: 80, height: 24 };
const STREAMS = { stdin: false, stdout: true, stderr: true };

/** One call of each kind. The type requires all of them. */
const CALLS: Readonly<Record<keyof DockerClient, Ask>> = {
  ping: (client) => client.ping(),
  version: (client) => client.version(),
  info: (client) => client.info(),
  events: (client) => client.events({}),
  listContainers: (client) => client.listContainers({}),
  inspectContainer: (client) => client.inspectContainer('c'),
  containerStats: (client) => client.containerStats('c'),
  containerSize: (client) => client.containerSize('c'),
  readFile: (client) => client.readFile('c', '/etc/passwd'),
  listNetworks: (client) => client.listNetworks(),
  listImages: (client) => client.listImages(),
  inspectImage: (client) => client.inspectImage('i'),
  diskUsage: (client) => client.diskUsage(),
  inspectExec: (client) => client.inspectExec('e'),
  inspectManifest: (client) => client.inspectManifest('i', undefined),
  createContainer: (client) => client.createContainer('n', { Image: 'i', Labels: {}, HostConfig: {} }),
  startContainer: (client) => client.startContainer('c'),
  stopContainer: (client) => client.stopContainer('c', 1),
  killContainer: (client) => client.killContainer('c'),
  updateContainer: (client) => client.updateContainer('c', {}),
  checkpointContainer: (client) => client.checkpointContainer('c', '/d', 'n', 1_000),
  removeContainer: (client) => client.removeContainer('c'),
  attachContainer: (client) => client.attachContainer('c', STREAMS),
  resizeContainer: (client) => client.resizeContainer('c', SIZE),
  pullImage: (client) => client.pullImage('i', undefined, () => undefined),
  importImage: (client) => client.importImage(Readable.from(['tar']), 'i:1', []),
  removeImage: (client) => client.removeImage('i'),
  createExec: (client) => client.createExec('c', ['true']),
  startExec: (client) => client.startExec('e'),
  resizeExec: (client) => client.resizeExec('e', SIZE),
};
const CHANGES: readonly (keyof DockerClient)[] = [
  ...(['createContainer', 'startContainer', 'stopContainer', 'killContainer', 'updateContainer'] as const),
  ...(['checkpointContainer', 'removeContainer', 'attachContainer', 'resizeContainer'] as const),
  ...(['pullImage', 'importImage', 'removeImage', 'createExec', 'startExec', 'resizeExec'] as const),
  // This GET makes the Engine contact a registry.
  'inspectManifest',
];

describe('a client that only reads', () => {
  let engine: EngineServer;
  let client: DockerClient;
  beforeEach(async () => {
    engine = await EngineServer.start();
    engine.answers(reply(404, { message: 'none' }));
    const bare = new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: 5_000 });
    client = readOnly(bare, 'it only observes');
  });
  afterEach(() => engine.close());

  const names = Object.keys(CALLS) as (keyof DockerClient)[];

  it.each(names.filter((name) => !CHANGES.includes(name)))('passes %s on as a GET', async (name) => {
    await CALLS[name](client).catch(() => undefined);
    expect(engine.exchanges.map(({ method }) => method)).toEqual(['GET']);
  });

  it.each(CHANGES)('refuses %s and sends nothing', async (name) => {
    await expect(CALLS[name](client)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('it only observes') as string,
    });
    expect(engine.exchanges).toEqual([]);
  });

  it('refuses a call that it does not know', async () => {
    const odd = { pruneEverything: () => Promise.resolve('done') } as unknown as DockerClient;
    const asked = readOnly(odd, 'x') as unknown as { pruneEverything(): Promise<string> };
    await expect(asked.pruneEverything()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });
});
