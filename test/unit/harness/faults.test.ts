import * as grpc from '@grpc/grpc-js';
import { Interferer, type Injected } from '../../../src/harness/fault/interferer';
import { OldAnswers } from '../../../src/harness/fault/old-answers';
import { readPlan } from '../../../src/harness/fault/fault-plan';
import type { CriProxy } from '../../../src/harness/proxy/cri-proxy';
import type { Answer, CallTap } from '../../../src/harness/proxy/relay';
import type { Entry } from '../../../src/harness/tape/entry';
import { cri } from '../../../src/proto';
import { gate } from '../support/async';
import { BareRuntime, BytesClient, message, NO_TAP, startProxy } from './support/runtime';

const path = (method: string): string => `/runtime.v1.RuntimeService/${method}`;
const EMPTY = Buffer.alloc(0);

let runtime: BareRuntime;
let proxy: CriProxy;
let client: BytesClient;
let interferer: Interferer;
let injected: Injected[];
let entries: Entry[];
let ends: Parameters<CallTap['closed']>[0][];

beforeEach(async () => {
  runtime = await BareRuntime.start();
  [injected, entries, ends] = [[], [], []];
});
afterEach(async () => {
  client.close();
  interferer.stop();
  await proxy.close();
  await runtime.stop();
});

async function plan(...faults: object[]): Promise<void> {
  let n = 0;
  proxy = await startProxy(
    runtime,
    (call) => interferer.handle(call),
    () => ({ ...NO_TAP, n: ++n, closed: (end) => void ends.push(end) }),
  );
  interferer = new Interferer({
    rules: readPlan(JSON.stringify({ faults })),
    seed: 1,
    proxy,
    recorder: { write: (entry) => void entries.push(entry), now: () => 1.5 },
    onInjected: (one) => void injected.push(one),
    warn: () => undefined,
  });
  client = new BytesClient(runtime.proxyEndpoint);
}

const call = async (method: string, body: Buffer = EMPTY): Promise<string> =>
  String(await client.call(path(method), body, { deadline: Date.now() + 30_000 }).answer);

it('calls without a rule pass, and the tape says which faults were injected', async () => {
  await plan({ match: { method: 'StartContainer' }, error: { code: 'NOT_FOUND', text: 'nö' } });
  expect(await call('Version', Buffer.from('hi'))).toBe('hi');
  const error = await client.failure(path('StartContainer'), EMPTY);
  expect(error).toMatchObject({ code: grpc.status.NOT_FOUND, details: 'nö' });
  expect(runtime.calls.map((seen) => seen.path)).toEqual([path('Version')]);
  expect(entries).toEqual([
    { kind: 'fault', t: 1.5, path: path('StartContainer'), fault: 'error', rule: 0, n: 2 },
  ]);
  expect(injected).toHaveLength(1);
});

it('delay: the runtime gets the call later, and not at all if the client went away', async () => {
  await plan({ match: { nth: 1 }, delay: '300ms' }, { match: { nth: 2 }, delay: '1h' });
  const began = performance.now();
  await call('Version');
  expect(performance.now() - began).toBeGreaterThan(295);
  const error = await client.failure(path('Version'), EMPTY, { deadline: Date.now() + 200 });
  expect(error.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  await call('Version');
  expect(runtime.calls).toHaveLength(2);
});

it('hang: nobody answers until the deadline, and the runtime never gets the call', async () => {
  await plan({ hang: true });
  const error = await client.failure(path('Version'), EMPTY, { deadline: Date.now() + 200 });
  expect(error.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  expect(runtime.calls).toEqual([]);
});

it('lose_answer: the runtime carries out the call, and the client gets an error', async () => {
  await plan({ lose_answer: 'UNAVAILABLE' });
  const error = await client.failure(path('RunPodSandbox'), Buffer.from('x'));
  expect(error.code).toBe(grpc.status.UNAVAILABLE);
  expect(runtime.calls).toHaveLength(1);
});

it('drop_connection: all calls of the connection fail, and the next call connects again', async () => {
  await plan({ match: { method: 'Status' }, drop_connection: true });
  const began = runtime.called();
  runtime.answer = () => undefined;
  const other = client.call(path('Version'), EMPTY).answer;
  await began;
  await expect(client.call(path('Status'), EMPTY).answer).rejects.toMatchObject({
    code: grpc.status.UNAVAILABLE,
  });
  await expect(other).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
  runtime.answer = (seen) => runtime.reply(seen, message('again'));
  expect(await call('Version')).toBe('again');
});

async function streamed(count: number): Promise<{ words: string[]; error: grpc.ServiceError | undefined }> {
  runtime.answer = (seen) =>
    runtime.reply(seen, Buffer.concat(Array.from({ length: count }, (_, at) => message(`m${at}`))));
  const stream = client.stream(path('GetContainerEvents'), EMPTY);
  const words: string[] = [];
  let error: grpc.ServiceError | undefined;
  stream.on('data', (bytes: Buffer) => words.push(bytes.toString()));
  await new Promise<void>((resolve) => {
    stream.on('end', () => resolve());
    stream.on('error', (failure: grpc.ServiceError) => {
      error = failure;
      resolve();
    });
  });
  return { words, error };
}

it('cut: a stream ends in the middle', async () => {
  await plan({ match: { method: 'GetContainerEvents', nth: 1 }, cut: { after: 2 } });
  const { words, error } = await streamed(5);
  expect(words).toEqual(['m0', 'm1']);
  expect(error?.code).toBe(grpc.status.INTERNAL);
  expect(ends).toEqual([{ by: 'proxy', reset: 2 }]);
  expect(await streamed(3)).toEqual({ words: ['m0', 'm1', 'm2'], error: undefined });
});

it('duplicate: each message of a stream comes twice, and each other call is made twice', async () => {
  await plan({ duplicate: true });
  expect((await streamed(2)).words).toEqual(['m0', 'm0', 'm1', 'm1']);
  runtime.calls.length = 0;
  runtime.answer = (seen) => runtime.reply(seen, message(`answer ${runtime.calls.length}`));
  expect(await call('RunPodSandbox', Buffer.from('x'))).toBe('answer 2');
  expect(runtime.calls.map(({ body }) => body.toString())).toEqual(['\0\0\0\0\x01x', '\0\0\0\0\x01x']);
});

it('stale: the client gets an old answer to the same question', async () => {
  await plan(
    { match: { method: 'List*', nth: 3 }, stale: '1ms' },
    { match: { method: 'List*', nth: 4 }, stale: '1h' },
  );
  let round = 0;
  runtime.answer = (seen) => runtime.reply(seen, message(`list ${++round}`), { 'x-tail': 'kept' });
  expect(await call('ListContainers')).toBe('list 1');
  expect(await call('ListContainers', Buffer.from('other filter'))).toBe('list 2');
  expect(await call('ListContainers')).toBe('list 1');
  // No answer is that old, so the client gets the oldest one.
  expect(await call('ListContainers')).toBe('list 1');
  // The runtime was asked each time, so the old answers are as recent as possible.
  expect(await call('ListContainers')).toBe('list 5');
});

it('stale: a list that is always old still changes', async () => {
  await plan({ match: { method: 'List*' }, stale: '0ms' });
  let round = 0;
  runtime.answer = (seen) => runtime.reply(seen, message(`list ${++round}`));
  const seen: string[] = [];
  for (let at = 0; at < 4; at++) seen.push(await call('ListContainers'));
  expect(seen).toEqual(['list 1', 'list 1', 'list 2', 'list 3']);
});

it('the number of old answers is limited, however small they are', () => {
  const old = new OldAnswers(() => 0);
  const answer = (word: string): Answer => ({ headers: [], data: Buffer.from(word), trailers: [] });
  old.keep('/List', EMPTY, answer('first'));
  for (let at = 0; at < 40_000; at++) old.keep(`/${at}`, EMPTY, answer(''));
  expect(old.asOf('/List', EMPTY, 0)).toBeUndefined();
  expect(old.asOf('/39999', EMPTY, 0)).toBeDefined();
});

it('the newest answer that is old enough is used', () => {
  let time = 0;
  const old = new OldAnswers(() => time);
  const answer = (word: string): Answer => ({ headers: [], data: Buffer.from(word), trailers: [] });
  for (const [at, word] of [
    [0, 'a'],
    [10, 'b'],
    [20, 'c'],
  ] as const) {
    time = at;
    old.keep('/List', EMPTY, answer(word));
  }
  time = 25;
  const asOf = (ms: number): string | undefined => old.asOf('/List', EMPTY, ms)?.data.toString();
  expect([asOf(0), asOf(5), asOf(6), asOf(15), asOf(16), asOf(100)]).toEqual(['c', 'c', 'b', 'b', 'a', 'a']);
  expect(old.asOf('/List', Buffer.from('other'), 5)).toBeUndefined();
});

it('stale: without an old answer the call passes', async () => {
  await plan({ match: { method: 'List*' }, stale: '1s' });
  expect(await call('ListContainers', Buffer.from('x'))).toBe('x');
  expect(injected).toEqual([]);
  expect(entries).toEqual([]);
});

it('restart: the socket is missing for a while', async () => {
  await plan({ match: { method: 'Status', nth: 1 }, restart: '200ms' });
  await call('Version');
  const error = await client.failure(path('Status'), EMPTY);
  expect(error.code).toBe(grpc.status.UNAVAILABLE);
  const { answer } = client.call(
    path('Status'),
    Buffer.from('back'),
    { deadline: Date.now() + 30_000 },
    waiting(),
  );
  expect(String(await answer)).toBe('back');
});

/** Returns metadata that make a client wait for the socket instead of failing at once. */
function waiting(): grpc.Metadata {
  return new grpc.Metadata({ waitForReady: true });
}

it('a pod is recognized by its name, and by ids that the runtime gave out', async () => {
  await plan({ match: { method: '*PodSandbox*', pod: 'default/web-*' }, error: 'ABORTED' });
  const answers: Record<string, Uint8Array> = {
    [path('ListPodSandbox')]: cri.ListPodSandboxResponse.encode({
      items: [
        { id: 'one', metadata: { name: 'web-1', namespace: 'default' } },
        { id: 'two', metadata: { name: 'db-1', namespace: 'default' } },
      ],
    }).finish(),
  };
  runtime.answer = (seen) => {
    const bytes = answers[seen.path] ?? Buffer.alloc(0);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(bytes.length, 1);
    runtime.reply(seen, Buffer.concat([prefix, bytes]));
  };
  await call('ListPodSandbox');
  const stop = (id: string): Buffer =>
    Buffer.from(cri.StopPodSandboxRequest.encode({ pod_sandbox_id: id }).finish());
  await call('StopPodSandbox', stop('two'));
  expect((await client.failure(path('StopPodSandbox'), stop('one'))).code).toBe(grpc.status.ABORTED);
  expect(injected.map(({ pod }) => pod)).toEqual(['default/web-1']);
});

it('a call that waits ends when the proxy closes', async () => {
  await plan({ hang: true });
  const told = gate();
  const { answer } = client.call(path('Version'), EMPTY);
  void answer.catch(() => told.resolve());
  while (injected.length === 0) await new Promise((resolve) => setImmediate(resolve));
  interferer.stop();
  await proxy.close();
  await told.promise;
});
