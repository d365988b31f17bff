import { inspect } from 'node:util';
import { connectDocker, isLocalEndpoint } from '../../../src/docker/transport';

const before = { ...process.env };

afterEach(() => {
  process.env = { ...before };
});

describe('connectDocker', () => {
  it('takes a unix socket, whatever DOCKER_HOST says', () => {
    process.env.DOCKER_HOST = 'tcp://elsewhere:2375';
    expect(connectDocker('unix:///run/my docker.sock', 4).modem).toMatchObject({ protocol: 'http' });
    const { modem } = connectDocker('unix:///var/run/docker.sock', undefined);
    expect(modem).toMatchObject({ socketPath: '/var/run/docker.sock' });
  });

  it('takes a path with characters that a URL would escape', () => {
    const { modem } = connectDocker('unix:///run/my docker#1 ü%41.sock', undefined);
    expect(modem).toMatchObject({ socketPath: '/run/my docker#1 ü%41.sock' });
  });

  it('takes a TCP address, with IPv6 too', () => {
    const { modem } = connectDocker('tcp://engine.example:2375', undefined);
    expect(modem).toMatchObject({ host: 'engine.example', port: '2375', protocol: 'http' });
    expect(connectDocker('tcp://[::1]:2375', undefined).modem).toMatchObject({ host: '[::1]' });
  });

  it('takes the environment when the endpoint is empty', () => {
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
    // Node would take port 80.
    'tcp://engine',
    'x',
  ])('refuses %s, naming the flag and what is allowed', (endpoint) => {
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
    ['unix:///run/docker.sock', undefined, true],
    ['tcp://127.0.0.1:2375', undefined, false],
    ['', undefined, true],
    ['', '', true],
    ['', 'unix:///run/docker.sock', true],
    ['', 'tcp://engine:2376', false],
  ])('%j with DOCKER_HOST=%j: %j', (endpoint, host, wanted) => {
    delete process.env.DOCKER_HOST;
    if (host !== undefined) process.env.DOCKER_HOST = host;
    expect(isLocalEndpoint(endpoint)).toBe(wanted);
  });
});
