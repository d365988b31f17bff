import { inspect } from 'node:util';
import { DockerodeClient } from '../../../src/docker/dockerode-client';
import { EngineError } from '../../../src/docker/errors';
import { connectDocker, isLocalEndpoint, pathTemplate } from '../../../src/docker/transport';
import { chunks, EngineServer, reply, upgrade } from '../../fakes/engine-server';
import { RecordingTracer } from '../support/recording-tracer';

const before = { ...process.env };

afterEach(() => {
  process.env = { ...before };
});

describe('connectDocker', () => {
  it('uses a unix socket, whatever DOCKER_HOST says', () => {
    process.env.DOCKER_HOST = 'tcp://elsewhere:2375';
    expect(connectDocker('unix:///run/my docker.sock', 4).modem).toMatchObject({ protocol: 'http' });
    const { modem } = connectDocker('unix:///var/run/docker.sock', undefined);
    expect(modem).toMatchObject({ socketPath: '/var/run/docker.sock' });
  });

  it('accepts a path with characters that a URL would escape', () => {
    const { modem } = connectDocker('unix:///run/my docker#1 ü%41.sock', undefined);
    expect(modem).toMatchObject({ socketPath: '/run/my docker#1 ü%41.sock' });
  });

  it('accepts a TCP address, including IPv6', () => {
    const { modem } = connectDocker('tcp://engine.example:2375', undefined);
    expect(modem).toMatchObject({ host: 'engine.example', port: '2375', protocol: 'http' });
    expect(connectDocker('tcp://[::1]:2375', undefined).modem).toMatchObject({ host: '[::1]' });
  });

  it('uses the environment when the endpoint is empty', () => {
    process.env.DOCKER_HOST = 'unix:///run/other.sock';
    expect(connectDocker('', undefined).modem).toMatchObject({ socketPath: '/run/other.sock' });
  });

  it.each([
    '/var/run/docker.sock',
    'unix://',
    'unix://var/run/docker.sock',
    'http://engine:2375',
    'npipe:////./pipe/docker',
    'tcp://',
    'tcp:///path',
    // Node.js would use port 80.
    'tcp://engine',
    'x',
  ])('refuses %s with an error that names the flag and the allowed values', (endpoint) => {
    expect(() => connectDocker(endpoint, undefined)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/^--docker-endpoint: .*unix:\/\/\/path/) as string,
      }) as Error,
    );
  });

  it('hides its agent from util.inspect, which docker-modem calls at each request', () => {
    const { modem } = connectDocker('unix:///run/docker.sock', 4) as unknown as { modem: { agent: object } };
    expect(inspect(modem.agent, { showHidden: true, depth: null })).toBe('[Agent]');
  });
});

describe('isLocalEndpoint', () => {
  it.each([
    ['unix:///run/docker.sock', {}, true],
    ['tcp://127.0.0.1:2375', {}, false],
    ['', {}, true],
    ['', { DOCKER_HOST: '' }, true],
    ['', { DOCKER_HOST: 'unix:///run/docker.sock' }, true],
    ['', { DOCKER_HOST: 'tcp://engine:2376' }, false],
  ])('with the endpoint %j and the environment %j returns %j', (endpoint, environment, wanted) => {
    delete process.env.DOCKER_HOST;
    Object.assign(process.env, environment);
    expect(isLocalEndpoint(endpoint)).toBe(wanted);
  });
});

it.each([
  ['GET', '/_ping', '/_ping'],
  ['GET', '/version', '/version'],
  ['GET', '/system/df', '/system/df'],
  ['GET', '/containers/json', '/containers/json'],
  ['POST', '/containers/create', '/containers/create'],
  ['GET', '/containers/k8s_POD_web_shop_u1_0/json', '/containers/{id}/json'],
  ['DELETE', '/containers/0123', '/containers/{id}'],
  ['POST', '/containers/0123/exec', '/containers/{id}/exec'],
  ['POST', '/exec/0123/start', '/exec/{id}/start'],
  ['GET', '/images/json', '/images/json'],
  ['POST', '/images/create', '/images/create'],
  ['GET', '/images/registry.example%3A5000/team/app%3A1/json', '/images/{name}/json'],
  ['DELETE', '/images/team/app%3A1', '/images/{name}'],
  ['GET', '/v1.51/images/app/json', '/images/{name}/json'],
  ['GET', '/distribution/team/app%3A1/json', '/distribution/{name}/json'],
])('the span name of %s %s contains no ids', (method, path, template) => {
  expect(pathTemplate(method, path)).toBe(template);
});

describe('the span of a request to the Engine', () => {
  let engine: EngineServer;
  let tracer: RecordingTracer;
  let client: DockerodeClient;

  beforeEach(async () => {
    engine = await EngineServer.start();
    tracer = new RecordingTracer();
    client = new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: 30_000, tracer });
  });
  afterEach(() => engine.close());

  it('has the method, path and status', async () => {
    engine.answers(reply(201, { Id: '0123' }));
    await client.createContainer('name', { Image: 'x', Env: ['SECRET=1'], Labels: {}, HostConfig: {} });
    expect(tracer.spans).toEqual([
      {
        name: 'POST /containers/create',
        attributes: {
          'http.request.method': 'POST',
          'url.template': '/containers/create',
          'url.path': '/containers/create',
          'http.response.status_code': 201,
        },
      },
    ]);
  });

  it('has the status of a failure', async () => {
    engine.answers(reply(409, { message: 'no' }));
    await expect(client.startContainer('0123')).rejects.toThrow(EngineError);
    expect(tracer.spans).toMatchObject([
      {
        name: 'POST /containers/{id}/start',
        attributes: { 'url.path': '/containers/0123/start', 'http.response.status_code': 409 },
        threw: expect.any(EngineError) as Error,
      },
    ]);
  });

  it('lasts until a pull has ended, and fails if the pull fails', async () => {
    engine.answers(chunks('{"status":"one"}\n{"errorDetail":{"code":404,"message":"gone"}}\n'));
    const spansBefore: number[] = [];
    await expect(
      client.pullImage('a:1', undefined, () => spansBefore.push(tracer.spans.length)),
    ).rejects.toThrow('gone');
    expect(spansBefore).toEqual([0]);
    expect(tracer.spans).toMatchObject([
      {
        name: 'POST /images/create',
        attributes: { 'http.response.status_code': 200 },
        threw: expect.any(EngineError) as Error,
      },
    ]);
  });

  it('lasts until the connection of an exec is open', async () => {
    engine.answers(upgrade(Buffer.alloc(0)));
    (await client.startExec('0123')).destroy();
    expect(tracer.spans).toMatchObject([
      { name: 'POST /exec/{id}/start', attributes: { 'http.response.status_code': 101 } },
    ]);
  });

  it("adds the trace context to the request's own headers, and nothing without a trace", async () => {
    engine.answers(reply(201, { Id: '0123' }), reply(201, { Id: '0123' }));
    tracer.headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    const body = { Image: 'x', Labels: {}, HostConfig: {} };
    await client.createContainer('one', body);
    tracer.headers = undefined;
    await client.createContainer('two', body);
    expect(engine.exchanges.map(({ headers }) => [headers.traceparent, headers['content-type']])).toEqual([
      ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'application/json'],
      [undefined, 'application/json'],
    ]);
  });
});
