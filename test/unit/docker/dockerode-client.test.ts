import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import type { DockerClient } from '../../../src/docker/client';
import { DockerodeClient } from '../../../src/docker/dockerode-client';
import { EngineError } from '../../../src/docker/errors';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { unavailable } from '../../../src/lib/errors';
import {
  chunks,
  drop,
  EngineServer,
  hang,
  reply,
  stall,
  tear,
  upgrade,
  type Answer,
} from '../../fakes/engine-server';
import { until } from '../support/async';

let engine: EngineServer;
let client: DockerodeClient;

beforeEach(async () => {
  engine = await EngineServer.start();
  client = new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: 30_000 });
});

afterEach(async () => {
  await engine.close();
});

function impatient(ms: number): DockerodeClient {
  return new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: ms });
}

const CREATE_BODY = { Image: 'x', HostConfig: {} } as Parameters<DockerClient['createContainer']>[1];

/** Calls of the client. Some arguments would change the path if they were not escaped. */
const CALLS: Record<
  string,
  [call: (docker: DockerClient, signal?: AbortSignal) => Promise<unknown>, request: string]
> = {
  ping: [(docker, signal) => docker.ping({ signal }), 'GET /_ping'],
  version: [(docker, signal) => docker.version({ signal }), 'GET /version'],
  info: [(docker, signal) => docker.info({ signal }), 'GET /info'],
  listNetworks: [(docker, signal) => docker.listNetworks({ signal }), 'GET /networks'],
  listContainers: [
    (docker, signal) => docker.listContainers({ label: ['a'] }, { signal }),
    'GET /containers/json',
  ],
  inspectContainer: [
    (docker, signal) => docker.inspectContainer('a/../b?c', { signal }),
    'GET /containers/a%2F..%2Fb%3Fc/json',
  ],
  createContainer: [
    (docker, signal) => docker.createContainer('na me', CREATE_BODY, { signal }),
    'POST /containers/create',
  ],
  startContainer: [(docker, signal) => docker.startContainer('id', { signal }), 'POST /containers/id/start'],
  stopContainer: [(docker, signal) => docker.stopContainer('id', 7, { signal }), 'POST /containers/id/stop'],
  killContainer: [(docker, signal) => docker.killContainer('id', { signal }), 'POST /containers/id/kill'],
  removeContainer: [(docker, signal) => docker.removeContainer('id', { signal }), 'DELETE /containers/id'],
  listImages: [(docker, signal) => docker.listImages({ signal }), 'GET /images/json'],
  inspectImage: [
    (docker, signal) => docker.inspectImage('r.io/a/b?c:1', { signal }),
    'GET /images/r.io/a/b%3Fc%3A1/json',
  ],
  inspectManifest: [
    (docker, signal) => docker.inspectManifest('r.io/a/b?c:1', { username: 'u' }, { signal }),
    'GET /distribution/r.io/a/b%3Fc%3A1/json',
  ],
  diskUsage: [(docker, signal) => docker.diskUsage({ signal }), 'GET /system/df'],
  pullImage: [
    (docker, signal) => docker.pullImage('a:1', undefined, () => undefined, { signal }),
    'POST /images/create',
  ],
  removeImage: [(docker, signal) => docker.removeImage('a:1', { signal }), 'DELETE /images/a%3A1'],
  createExec: [(docker, signal) => docker.createExec('id', ['sh'], { signal }), 'POST /containers/id/exec'],
  resizeExec: [
    (docker, signal) => docker.resizeExec('id', { width: 80, height: 24 }, { signal }),
    'POST /exec/id/resize',
  ],
  resizeContainer: [
    (docker, signal) => docker.resizeContainer('id', { width: 80, height: 24 }, { signal }),
    'POST /containers/id/resize',
  ],
  inspectExec: [(docker, signal) => docker.inspectExec('id', { signal }), 'GET /exec/id/json'],
  events: [async (docker, signal) => text(await docker.events({}, { signal })), 'GET /events'],
};
const NAMES = Object.keys(CALLS);
/** The calls that have to end by themselves when the Engine hangs. */
const SHORT = NAMES.filter((name) => !['ping', 'pullImage', 'diskUsage', 'events'].includes(name));

describe.each(NAMES)('%s', (name) => {
  const [call, request] = CALLS[name]!;

  it('sends the request that the API documents', async () => {
    engine.answers(reply(200, '{}'));
    await call(client).catch(() => undefined);
    const { method, path } = await engine.exchange();
    expect(`${method} ${path}`).toBe(request);
  });

  it("rejects a refusal with its status and with exactly the Engine's text", async () => {
    engine.answers(reply(500, { message: 'tüdelü: no space left' }));
    await expect(call(client)).rejects.toEqual(
      expect.objectContaining({ name: 'EngineError', statusCode: 500, message: 'tüdelü: no space left' }),
    );
  });

  it('rejects when the connection is dropped before an answer or in the middle of a refusal', async () => {
    engine.answers(drop, tear(500, '{"message": "torn'));
    await expect(call(client)).rejects.toMatchObject({ name: 'RuntimeError', code: 'UNAVAILABLE' });
    await expect(call(client)).rejects.toMatchObject({ name: 'RuntimeError', code: 'UNAVAILABLE' });
  });

  it('rejects when nobody listens', async () => {
    const nobody = new DockerodeClient({ endpoint: `${engine.endpoint}.none`, requestTimeoutMs: 1_000 });
    await expect(call(nobody)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/is dockerd running/) as string,
    });
  });

  it.each<[string, Answer]>([
    ['before the headers', hang],
    ['in the middle of the body', stall(200, '{"a')],
    ['in the middle of a refusal', stall(500, '{"mess')],
  ])('ends with its signal and closes its connection when the Engine hangs %s', async (_where, answer) => {
    engine.answers(answer);
    const controller = new AbortController();
    const pending = call(client, controller.signal);
    pending.catch(() => undefined);
    const { closed } = await engine.exchange();
    const reason = unavailable('the caller is gone');
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    await closed;
  });

  it('sends nothing for a caller that has already gone', async () => {
    const reason = unavailable('gone before');
    await expect(call(client, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(engine.exchanges).toEqual([]);
  });
});

describe.each(SHORT)('%s', (name) => {
  const [call] = CALLS[name]!;

  it.each<[string, Answer]>([
    ['before the headers', hang],
    ['in the middle of the body', stall(200, '{"a')],
    ['in the middle of a refusal', stall(500, '{"mess')],
  ])('ends at its time limit when the Engine hangs %s', async (_where, answer) => {
    engine.answers(answer);
    // A stop adds its grace period to the limit. Here it is zero.
    const pending = name === 'stopContainer' ? impatient(100).stopContainer('id', 0) : call(impatient(100));
    await expect(pending).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringMatching(/100 ms/) as string,
    });
    await (
      await engine.exchange()
    ).closed;
  });

  it('rejects when a successful answer is cut off', async () => {
    engine.answers(tear(200, '{"Id": "abc"'));
    await expect(call(client)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('answers', () => {
  it('are decoded even if they arrive byte by byte and split a character', async () => {
    const bytes = Buffer.from(JSON.stringify({ Version: '20.10-ä€😀' }));
    engine.answers(chunks(...Array.from(bytes, (byte) => Buffer.from([byte]))));
    expect(await client.version()).toEqual({ Version: '20.10-ä€😀' });
  });

  it('that are not JSON reject with a code', async () => {
    engine.answers(reply(200, '<html>proxy</html>'));
    await expect(client.version()).rejects.toMatchObject({ name: 'RuntimeError', code: 'UNKNOWN' });
  });

  it('keep the text of refusals without JSON, and give empty refusals a text', async () => {
    engine.answers(reply(404, 'page not found\n'), reply(500, ''));
    await expect(client.version()).rejects.toMatchObject({ statusCode: 404, message: 'page not found' });
    await expect(client.version()).rejects.toMatchObject({
      statusCode: 500,
      message: 'Docker Engine answers HTTP 500 without a reason',
    });
  });

  it.each([
    [400, 'INVALID_ARGUMENT'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [409, 'FAILED_PRECONDITION'],
    [418, 'UNKNOWN'],
    [429, 'RESOURCE_EXHAUSTED'],
    [500, 'UNKNOWN'],
    [501, 'UNIMPLEMENTED'],
    [503, 'UNAVAILABLE'],
  ])('with HTTP %i become %s', async (status, code) => {
    engine.answers(reply(status, { message: 'no' }));
    const failure = await client.info().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineError);
    expect(failure).toMatchObject({ statusCode: status, code, message: 'no' });
  });
});

it('a call uses the time limit that is set when it begins', async () => {
  let ms = 30_000;
  const docker = new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: () => ms });
  engine.answers(hang);
  ms = 100;
  await expect(docker.info()).rejects.toThrow(/100 ms/);
});

describe('containers', () => {
  it('are created with name and body, and the id is returned', async () => {
    engine.answers(reply(201, { Id: 'abc', Warnings: [] }));
    expect(await client.createContainer('k8s_ä', CREATE_BODY)).toBe('abc');
    const { query, body, headers } = await engine.exchange();
    expect(query.get('name')).toBe('k8s_ä');
    expect(JSON.parse(body)).toEqual(CREATE_BODY);
    expect(headers['content-type']).toBe('application/json');
  });

  it('start or stop successfully if they already run or have ended', async () => {
    engine.answers(reply(304));
    await client.startContainer('id');
    await client.stopContainer('id', 5);
    expect((await engine.exchange(1)).query.get('t')).toBe('5');
  });

  it('are killed by SIGKILL, also successfully if they do not run', async () => {
    const stopped = reply(409, { message: 'Container id is not running' });
    engine.answers(reply(204), stopped);
    await client.killContainer('id');
    await client.killContainer('id');
    expect((await engine.exchange(1)).query.get('signal')).toBe('SIGKILL');
    expect(engine.exchanges).toHaveLength(2);
  });

  it('are killed while stops with long grace periods are pending', async () => {
    engine.answers(hang, hang, reply(204));
    const caller = sharedAbortController();
    const stops = [0, 1].map(() => client.stopContainer('id', 600, { signal: caller.signal }));
    await engine.exchange(1);
    await client.killContainer('id', { signal: AbortSignal.timeout(5_000) });
    expect((await engine.exchange(2)).path).toBe('/containers/id/kill');
    caller.abort(unavailable('the test is over'));
    await Promise.allSettled(stops);
  });

  it('may take their grace period in addition to the time limit when they stop', async () => {
    engine.answers(({ response }) => setTimeout(() => response.writeHead(204).end(), 300));
    await impatient(100).stopContainer('id', 1);
  });

  it('are removed successfully when they are gone', async () => {
    engine.answers(reply(404, { message: 'No such container' }));
    await client.removeContainer('id');
    expect(engine.exchanges).toHaveLength(1);
  });

  it('count as removed only when a removal that is already under way has ended', async () => {
    const gone = reply(404, { message: 'No such container' });
    engine.answers(reply(409, { message: 'removal of container id is already in progress' }), hang, gone);
    const removal = client.removeContainer('id');
    const wait = await engine.exchange(1);
    expect([wait.method, wait.path, wait.query.get('condition')]).toEqual([
      'POST',
      '/containers/id/wait',
      'removed',
    ]);
    wait.response.writeHead(200).end('{"StatusCode":0}');
    await removal;
  });

  it("cause an error when somebody else's removal failed", async () => {
    const failed = reply(200, { StatusCode: 0, Error: { Message: 'device or resource busy' } });
    engine.answers(reply(409, {}), failed, reply(409, { message: 'device or resource busy' }));
    await expect(client.removeContainer('id')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('are removed successfully if they go before the wait begins, and the wait ends at the time limit', async () => {
    engine.answers(reply(409, {}), reply(404, { message: 'No such container' }), reply(409, {}), hang);
    await client.removeContainer('id');
    await expect(impatient(100).removeContainer('id')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('pull', () => {
  it('reports progress and ends with the stream', async () => {
    engine.answers(chunks('{"status":"Pull', 'ing"}\r\n{"status":"Done"}\r\n'));
    const seen: unknown[] = [];
    await client.pullImage('a:1', { username: 'u', password: 'ü' }, (progress) => seen.push(progress));
    expect(seen).toEqual([{ status: 'Pulling' }, { status: 'Done' }]);
    const { query, headers } = await engine.exchange();
    expect(query.get('fromImage')).toBe('a:1');
    const auth = Buffer.from(String(headers['x-registry-auth']), 'base64url').toString();
    expect(JSON.parse(auth)).toEqual({ username: 'u', password: 'ü' });
  });

  it('rejects with an error that the stream contains after status 200', async () => {
    engine.answers(
      chunks('{"status":"x"}\n{"errorDetail":{"code":401,"message":"denied"},"error":"denied"}\n'),
      chunks('{"error":"no space left on device"}\n'),
    );
    await expect(client.pullImage('a', undefined, () => undefined)).rejects.toMatchObject({
      message: 'denied',
    });
    await expect(client.pullImage('a', undefined, () => undefined)).rejects.toMatchObject({
      name: 'EngineError',
      message: 'no space left on device',
    });
    // The rest is not read, because the connections are closed.
    await (
      await engine.exchange(1)
    ).closed;
  });

  it.each<[string, Answer]>([
    ['is cut off', tear(200, '{"status":"Pulling"}\n')],
    ['ends in the middle of a line', chunks('{"status":"Pulling"}\n{"stat')],
    ['is not JSON', chunks('{"status":"Pulling"}\n<html>\n')],
  ])('rejects when the stream %s', async (_what, answer) => {
    engine.answers(answer);
    const seen: unknown[] = [];
    await expect(client.pullImage('a', undefined, (progress) => seen.push(progress))).rejects.toMatchObject({
      name: 'RuntimeError',
    });
    expect(seen).toEqual([{ status: 'Pulling' }]);
  });
});

describe('import', () => {
  it('sends the tar, and each change as a parameter of its own', async () => {
    engine.answers(chunks('{"status":"sha256:1"}\n'));
    await client.importImage(Readable.from(['ta', 'r']), 'host:5000/a/b:1', ['CMD ["x"]', 'USER 1']);
    const { query, body } = await engine.exchange();
    expect(body).toBe('tar');
    expect([query.get('fromSrc'), query.get('repo'), query.get('tag')]).toEqual(['-', 'host:5000/a/b', '1']);
    expect(query.getAll('changes')).toEqual(['CMD ["x"]', 'USER 1']);
  });

  it('rejects when the tar cannot be read', async () => {
    engine.answers(hang);
    const broken = new Readable({ read: () => broken.destroy(new Error('disk gone')) });
    await expect(client.importImage(broken, 'a:1', [])).rejects.toMatchObject({ message: 'disk gone' });
  });
});

describe('exec', () => {
  it('returns the raw connection, including bytes that came along with the 101', async () => {
    engine.answers(upgrade(Buffer.from('at once')));
    expect(await text(await client.startExec('id'))).toBe('at once');
    const { headers } = await engine.exchange();
    expect(headers).toMatchObject({
      connection: 'Upgrade',
      upgrade: 'tcp',
      'content-type': 'application/json',
    });
  });

  it('rejects when the Engine refuses', async () => {
    engine.answers(({ socket }) =>
      socket.end('HTTP/1.1 409 Conflict\r\nContent-Length: 24\r\n\r\n{"message":"is paused"}\n'),
    );
    await expect(client.startExec('id')).rejects.toMatchObject({ statusCode: 409, message: 'is paused' });
  });

  it('closes the connection of a refused exec', async () => {
    // Behaves like dockerd, which waits for the rest of the client's request.
    engine.answers(({ socket }) =>
      socket.write('HTTP/1.1 409 Conflict\r\nContent-Length: 24\r\n\r\n{"message":"is paused"}\n'),
    );
    const calls = [
      client.startExec('id'),
      client.attachContainer('id', { stdin: true, stdout: true, stderr: true }),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ statusCode: 409 });
    await until(() => engine.connections === 0);
  });

  it('requests a terminal with its size, and detach keys that nobody types', async () => {
    engine.answers(reply(201, { Id: 'e' }), upgrade(Buffer.alloc(0)), upgrade(Buffer.alloc(0)));
    const streams = { stdin: true, stdout: true, stderr: false };
    await client.createExec('c', ['sh'], { tty: true, streams });
    expect(JSON.parse((await engine.exchange()).body)).toMatchObject({
      Cmd: ['sh'],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: false,
      Tty: true,
      DetachKeys: expect.stringMatching(/^ctrl-\^(,ctrl-[\^@_]){15}$/) as string,
    });
    await client.startExec('e', { tty: true, size: { width: 80, height: 24 } });
    await client.attachContainer('c', streams);
    const { path, query } = await engine.exchange(2);
    expect(path).toBe('/containers/c/attach');
    expect(Object.fromEntries(query)).toMatchObject({ stream: '1', stdin: '1', stdout: '1', stderr: '0' });
  });

  it('rejects when the connection is dropped or the caller has gone', async () => {
    engine.answers(drop, hang);
    await expect(client.startExec('id')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const controller = new AbortController();
    const pending = client.startExec('id', { signal: controller.signal });
    pending.catch(() => undefined);
    const { closed } = await engine.exchange(1);
    controller.abort(unavailable('gone'));
    await expect(pending).rejects.toMatchObject({ message: 'gone' });
    await closed;
  });
});

describe('connections', () => {
  it('leave room for a ping, a pull and an event stream while a hundred calls hang', async () => {
    engine.answers(({ path, response }) => {
      if (path === '/_ping') response.end('OK');
      if (path === '/images/create') response.end('{"status":"Done"}\n');
      if (path === '/events') response.end('');
    });
    const controller = sharedAbortController();
    const hung = Array.from({ length: 100 }, () => client.info({ signal: controller.signal }));
    const all = Promise.allSettled(hung);
    await engine.exchange(31);
    await client.ping();
    await client.pullImage('a', undefined, () => undefined);
    await text(await client.events({}));
    controller.abort(unavailable('enough'));
    for (const result of await all)
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
  });

  it('are few and shared when many calls come at once', async () => {
    engine.answers(reply(200, '{}'));
    await Promise.all(Array.from({ length: 500 }, () => client.info()));
    expect(engine.exchanges).toHaveLength(500);
    expect(engine.connections).toBeLessThanOrEqual(32);
  });

  it('that the Engine closed while they were idle fail no call', async () => {
    engine.answers(reply(200, '{}'));
    await client.info();
    for (let round = 0; round < 20; round++) {
      (await engine.exchange(2 * round)).socket.destroy();
      // The ping uses a new connection. Once it is answered, the client knows that the other one has ended.
      await client.ping();
      await client.info();
    }
  });
});
