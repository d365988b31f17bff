import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import {
  Endpoint,
  type EndpointOptions,
  exposition,
  type Family,
  healthPage,
  text,
} from '../../../src/metrics/endpoint';

let directory: string;
let endpoint: Endpoint;
const complaints: string[] = [];
const logger = { ...silentLogger, error: (message: string) => void complaints.push(message) };
const pages: EndpointOptions['pages'] = {
  '/good': () => Promise.resolve(text(200, 'gut\n')),
  '/long': () =>
    Promise.resolve({
      ...text(200, ''),
      body: Array.from({ length: 1_000 }, (_, at) => `line ${at} ${'x'.repeat(1_000)}\n`),
    }),
  '/bad': () => Promise.reject(new Error('broken')),
};

beforeEach(async () => {
  complaints.length = 0;
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
});
afterEach(async () => {
  await endpoint.close();
  await rm(directory, { recursive: true, force: true });
});

function get(
  address: string,
  path: string,
  method = 'GET',
): Promise<{ status: number; type: string; body: string }> {
  const target = address.startsWith('unix://')
    ? { socketPath: address.slice('unix://'.length) }
    : { host: new URL(address).hostname.replace(/[[\]]/g, ''), port: new URL(address).port };
  return new Promise((resolve, reject) => {
    request({ ...target, path, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body,
        }),
      );
    })
      .on('error', reject)
      .end();
  });
}

describe('Endpoint', () => {
  it('serves its pages on a socket for its owner and group only', async () => {
    const path = join(directory, 'metrics.sock');
    endpoint = new Endpoint({ address: { path }, pages, logger });
    const address = await endpoint.listen();
    expect(address).toBe(`unix://${path}`);
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    expect(await get(address, '/good')).toEqual({
      status: 200,
      type: 'text/plain; charset=utf-8',
      body: 'gut\n',
    });
    await endpoint.close();
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each(['127.0.0.1', '::1'])('serves on a port of %s', async (host) => {
    endpoint = new Endpoint({ address: { host, port: 0 }, pages, logger });
    expect(await get(await endpoint.listen(), '/good?x=1')).toMatchObject({ status: 200, body: 'gut\n' });
  });

  it.each([
    ['GET', '/', 404, 'pages: /good /long /bad\n'],
    ['GET', '/constructor', 404, 'pages: /good /long /bad\n'],
    ['POST', '/good', 405, 'only GET\n'],
    ['HEAD', '/good', 200, ''],
    ['GET', '/bad', 500, 'broken\n'],
  ])('answers %s %s with %d', async (method, path, status, body) => {
    endpoint = new Endpoint({ address: { host: '127.0.0.1', port: 0 }, pages, logger });
    expect(await get(await endpoint.listen(), path, method)).toMatchObject({ status, body });
    expect(complaints).toHaveLength(status === 500 ? 1 : 0);
  });

  it('sends a long page piece by piece', async () => {
    endpoint = new Endpoint({ address: { host: '127.0.0.1', port: 0 }, pages, logger });
    const { body } = await get(await endpoint.listen(), '/long');
    expect(body.split('\n')).toHaveLength(1_001);
    expect(body).toMatch(/^line 0 x+\nline 1 /);
  });

  it('refuses an address that is taken, and can still be closed', async () => {
    const path = join(directory, 'metrics.sock');
    const first = new Endpoint({ address: { path }, pages, logger });
    await first.listen();
    endpoint = new Endpoint({ address: { path }, pages, logger });
    await expect(endpoint.listen()).rejects.toThrow(/already answers/);
    await endpoint.close();
    expect(await get(`unix://${path}`, '/good')).toMatchObject({ status: 200 });
    await first.close();
  });
});

describe('healthPage', () => {
  it('names the failing check and the reason', () => {
    const well = { name: 'store', problem: undefined };
    endpoint = new Endpoint({ address: { path: '/none' }, pages, logger });
    expect(healthPage([well])).toMatchObject({ status: 200, body: '[+]store ok\nhealthz passed\n' });
    expect(healthPage([well, { name: 'engine', problem: 'does not\nanswer' }])).toMatchObject({
      status: 503,
      body: '[+]store ok\n[-]engine failed: does not answer\nhealthz failed\n',
    });
  });
});

const CPU: Family = {
  name: 'cpu_seconds_total',
  help: 'Time\nspent.',
  kind: 'counter',
  labelKeys: ['pod', 'cpu'],
};
const RSS: Family = { name: 'rss_bytes', help: 'A \\ "b"', kind: 'gauge', labelKeys: ['pod'] };
const NONE: Family = { name: 'none', help: '-', kind: 'gauge', labelKeys: [] };

describe('exposition', () => {
  it('keeps a family together, whatever the order of the samples', () => {
    const pages = [
      ...exposition(
        [CPU, NONE, RSS],
        [
          { name: 'rss_bytes', labelValues: ['one'], value: 3 },
          { name: 'cpu_seconds_total', labelValues: ['one', '0'], value: 0.25 },
          { name: 'rss_bytes', labelValues: ['two'], value: -1 },
          { name: 'cpu_seconds_total', labelValues: ['two', '0'], value: Infinity },
        ],
      ),
    ];
    expect(pages).toEqual([
      '# HELP cpu_seconds_total Time\\nspent.\n# TYPE cpu_seconds_total counter\n' +
        'cpu_seconds_total{pod="one",cpu="0"} 0.25\ncpu_seconds_total{pod="two",cpu="0"} +Inf\n',
      '# HELP rss_bytes A \\\\ "b"\n# TYPE rss_bytes gauge\nrss_bytes{pod="one"} 3\nrss_bytes{pod="two"} -1\n',
    ]);
  });

  it('escapes the special characters of label values', () => {
    const [page] = exposition([RSS], [{ name: 'rss_bytes', labelValues: ['a"b\\c\nd'], value: 1 }]);
    expect(page).toContain('rss_bytes{pod="a\\"b\\\\c\\nd"} 1\n');
  });
});
