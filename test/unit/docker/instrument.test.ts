import type { DockerClient } from '../../../src/docker/client';
import { instrument, type EngineCall } from '../../../src/docker/instrument';

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

it('hands arguments, result and `this` through, and reports the call', async () => {
  const options = { signal: new AbortController().signal };
  expect(await client.version(options)).toBe('this is right');
  expect(fake.seen).toEqual([[options]]);
  expect(calls).toEqual([{ operation: 'version', error: undefined, seconds: expect.any(Number) as number }]);
  expect(calls[0]!.seconds).toBeGreaterThanOrEqual(0);
});

it('reports a rejection and passes on the same error', async () => {
  const error: unknown = await client.info().catch((thrown: unknown) => thrown);
  expect(error).toEqual(new Error('no'));
  expect(calls).toEqual([expect.objectContaining({ operation: 'info' })]);
  expect(calls[0]!.error).toBe(error);
});

it('makes a rejection of what is thrown at once', async () => {
  await expect(client.ping()).rejects.toThrow('thrown at once');
  expect(calls).toHaveLength(1);
});

it('reports a call when it has ended, not before', async () => {
  let end!: () => void;
  const slow = { ping: () => new Promise<void>((resolve) => (end = resolve)) } as unknown as DockerClient;
  const pending = instrument(slow, (call) => calls.push(call)).ping();
  expect(calls).toEqual([]);
  end();
  await pending;
  expect(calls).toHaveLength(1);
});

it('leaves properties that are no methods alone', () => {
  expect((client as unknown as Fake).option).toBe(7);
});
