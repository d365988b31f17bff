import { text } from 'node:stream/consumers';
import { DockerodeClient } from '../../../src/docker/dockerode-client';
import { chunks, EngineServer, reply, upgrade } from '../../fakes/engine-server';
import { EngineProxy, onCalls } from '../../integration/support/engine-proxy';
import { rejectionOf } from './errors';

let engine: EngineServer;
let proxy: EngineProxy;
let client: DockerodeClient;

beforeEach(async () => {
  engine = await EngineServer.start();
  proxy = await EngineProxy.start(engine.endpoint);
  client = new DockerodeClient({ endpoint: proxy.dockerHost, requestTimeoutMs: 30_000 });
});

afterEach(async () => {
  await proxy.stop();
  await engine.close();
});

const CREATE_BODY = { Image: 'x', HostConfig: {} } as Parameters<DockerodeClient['createContainer']>[1];

describe('the proxy in front of the Engine', () => {
  it('passes calls, streams and hijacked connections on unchanged', async () => {
    engine.answers(reply(201, { Id: 'abc' }));
    expect(await client.createContainer('a name', CREATE_BODY)).toBe('abc');
    const { body, query } = await engine.exchange(0);
    expect([JSON.parse(body), query.get('name')]).toEqual([CREATE_BODY, 'a name']);
    engine.answers(chunks('one\n', 'two\n'));
    expect(await text(await client.events({}))).toBe('one\ntwo\n');
    engine.answers(upgrade(Buffer.from('raw bytes')));
    expect(await text(await client.startExec('e1'))).toBe('raw bytes');
    expect(proxy.calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /containers/create',
      'GET /events',
      'POST /exec/e1/start',
    ]);
  });

  it('makes a call hang before or after the Engine, until it is released', async () => {
    engine.answers(reply(200, { Version: '1' }));
    proxy.obey(onCalls(/version/, { kind: 'hang', when: 'before' }));
    const before = client.version();
    await proxy.until(({ hanging }) => hanging.length === 1);
    expect(engine.exchanges).toHaveLength(0);
    proxy.heal();
    expect(await before).toEqual({ Version: '1' });
    proxy.obey(onCalls(/version/, { kind: 'hang', when: 'after' }));
    const after = client.version();
    await proxy.until(({ hanging }) => hanging.length === 1);
    expect(engine.exchanges).toHaveLength(2);
    proxy.heal();
    expect(await after).toEqual({ Version: '1' });
    expect(proxy.hanging).toEqual([]);
  });

  it('forgets a hanging call whose client has gone', async () => {
    proxy.obey(onCalls(/./, { kind: 'hang', when: 'before' }));
    const controller = new AbortController();
    const hung = client.version({ signal: controller.signal });
    await proxy.until(({ hanging }) => hanging.length === 1);
    controller.abort(new Error('enough'));
    await rejectionOf(hung);
    await proxy.until(({ hanging }) => hanging.length === 0);
  });

  it('fails, delays, cuts and duplicates calls as often as a rule says', async () => {
    engine.answers(reply(200, { Version: '1' }));
    proxy.obey(onCalls(/version/, { kind: 'fail', status: 503, message: 'not now' }, 1));
    expect(await rejectionOf(client.version())).toBe('UNAVAILABLE not now');
    expect(await client.version()).toEqual({ Version: '1' });
    proxy.obey(onCalls(/version/, { kind: 'cut', afterBytes: 0 }, 1));
    expect(await rejectionOf(client.version())).toMatch(/^UNAVAILABLE/);
    proxy.obey(onCalls(/version/, { kind: 'cut', afterBytes: 5 }, 1));
    await rejectionOf(client.version());
    proxy.obey(onCalls(/version/, { kind: 'delay', ms: 1 }, 1));
    expect(await client.version()).toEqual({ Version: '1' });
    const so = engine.exchanges.length;
    engine.answers(reply(201, { Id: 'first' }), reply(409, { message: 'taken' }));
    proxy.obey(onCalls(/create/, { kind: 'duplicate' }));
    expect(await rejectionOf(client.createContainer('twice', CREATE_BODY))).toBe('FAILED_PRECONDITION taken');
    expect(engine.exchanges.slice(so).map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      CREATE_BODY,
      CREATE_BODY,
    ]);
  });

  it('closes open connections on request', async () => {
    engine.answers(({ response }) => void response.writeHead(200).write('{"Action":"die"}\n'));
    const events = text(await client.events({}));
    events.catch(() => undefined);
    expect(proxy.cut(({ path }) => path === '/events')).toBe(1);
    await expect(events).rejects.toThrow();
  });
});
