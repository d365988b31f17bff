import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials, makeClientConstructor, Metadata, type Client } from '@grpc/grpc-js';
import { RUNTIME_SERVICE } from '../../src/proto/service';
import { TraceCollector, type CollectedSpan } from '../fakes/trace-collector';
import { ChildDaemon } from './support/child-daemon';
import { CniNode } from './support/cni-node';
import { TEST_IMAGE } from './support/engine';

const RUN_POD = 'runtime.v1.RuntimeService/RunPodSandbox';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const KUBELET = 'b7ad6b7169203331';

let environment: NodeJS.ProcessEnv;
let collector: TraceCollector;

beforeEach(async () => {
  environment = { ...process.env };
  collector = await TraceCollector.start();
  Object.assign(process.env, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '50',
  });
});
afterEach(async () => {
  process.env = environment;
  await collector.close();
});

/** Makes calls as a kubelet with tracing does, with its trace context in the metadata. */
async function runPodTraced(daemon: ChildDaemon, config: object): Promise<string> {
  const client = new (makeClientConstructor(RUNTIME_SERVICE, 'RuntimeService'))(
    daemon.endpoint.replace('unix://', 'unix:'),
    credentials.createInsecure(),
  ) as unknown as Client & {
    RunPodSandbox(
      request: object,
      metadata: Metadata,
      answer: (error: Error | null, response: { pod_sandbox_id: string }) => void,
    ): void;
  };
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${TRACE}-${KUBELET}-01`);
  try {
    return await new Promise((resolve, reject) =>
      client.RunPodSandbox({ config }, metadata, (error, response) =>
        error === null ? resolve(response.pod_sandbox_id) : reject(error),
      ),
    );
  } finally {
    client.close();
  }
}

const namesOf = (spans: readonly CollectedSpan[]): string[] => spans.map(({ name }) => name);

describe('a daemon whose environment names a collector', () => {
  it('has a span for each CRI call, below the span of kubelet, and spans for Engine calls and CNI plugins below it', async () => {
    const node = await CniNode.create();
    try {
      await node.configure(node.network(['10.99.0.0/16']));
      const daemon = await ChildDaemon.start(node.arguments);
      try {
        const config = {
          metadata: { name: 'web-0', uid: 'uid-traced', namespace: 'test', attempt: 0 },
          log_directory: join(daemon.logDirectory, 'web-0'),
          annotations: { note: 'not for traces' },
          linux: {},
        };
        const id = await runPodTraced(daemon, config);
        const run = await collector.span(RUN_POD);
        expect(run).toMatchObject({ traceId: TRACE, parent: KUBELET, kind: 'server', failed: false });
        expect(run.attributes).toMatchObject({
          'rpc.system': 'grpc',
          'rpc.service': 'runtime.v1.RuntimeService',
          'rpc.method': 'RunPodSandbox',
          'rpc.grpc.status_code': 0,
          'k8s.pod.name': 'web-0',
          'k8s.namespace.name': 'test',
          'sandbox.id': id,
        });
        expect(run.resource).toMatchObject({ 'service.name': 'dockbridge' });
        const children = collector.childrenOf(run);
        const requests = children.filter(({ kind }) => kind === 'client');
        expect(namesOf(requests)).toEqual(
          expect.arrayContaining([
            'POST /containers/create',
            'POST /containers/{id}/start',
            'GET /containers/{id}/json',
          ]),
        );
        expect(requests.find(({ name }) => name === 'POST /containers/{id}/start')?.attributes).toMatchObject(
          {
            'url.path': `/containers/${id}/start`,
            'http.response.status_code': 204,
          },
        );
        const plugins = children.filter(({ name }) => name.startsWith('CNI ADD'));
        // Some kernels do not leave lo to a plugin.
        expect(namesOf(plugins).filter((name) => !name.endsWith('loopback'))).toEqual([
          ...['CNI ADD bridge', 'CNI ADD portmap', 'CNI ADD firewall', 'CNI ADD bandwidth', 'CNI ADD tuning'],
        ]);
        expect(plugins.find(({ name }) => name === 'CNI ADD bridge')?.attributes).toEqual({
          'cni.plugin': 'bridge',
          'cni.command': 'ADD',
          'cni.network': 'test-net',
          'cni.exit': '0',
        });
        // All spans belong to the call, and lie within it. The SDK begins spans at whole milliseconds.
        for (const { traceId, start, end } of children) {
          expect(traceId).toBe(TRACE);
          expect(start >= run.start && end <= run.end + 1_000_000n).toBe(true);
        }

        const { container_id: container } = await daemon.client.call('CreateContainer', {
          pod_sandbox_id: id,
          config: {
            metadata: { name: 'web', attempt: 0 },
            image: { image: TEST_IMAGE },
            command: ['sleep', '86399'],
            envs: [{ key: 'TOKEN', value: Buffer.from('top-secret') }],
            log_path: 'web.log',
            linux: {},
          },
        });
        await daemon.client.call('StartContainer', { container_id: container });
        const create = await collector.span('runtime.v1.RuntimeService/CreateContainer');
        expect(create).toMatchObject({ parent: '' });
        expect(create.attributes).toMatchObject({ 'k8s.container.name': 'web', 'container.id': container });
        await daemon.client.call('StopPodSandbox', { pod_sandbox_id: id });
        const stop = await collector.span('runtime.v1.RuntimeService/StopPodSandbox');
        expect(namesOf(collector.childrenOf(stop))).toContain('CNI DEL bridge');
        const everything = JSON.stringify(collector.spans, (_key, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        );
        for (const hidden of ['top-secret', 'not for traces', '86399'])
          expect(everything).not.toContain(hidden);
      } finally {
        await daemon.stop();
      }
    } finally {
      await node.destroy();
    }
  });

  it('records the codes of failures, and has no spans of event streams', async () => {
    const daemon = await ChildDaemon.start();
    try {
      const events = daemon.client.stream('GetContainerEvents', {});
      await events.connected;
      await expect(daemon.client.call('PodSandboxStatus', { pod_sandbox_id: 'absent' })).rejects.toThrow();
      const status = await collector.span('runtime.v1.RuntimeService/PodSandboxStatus');
      expect(status.attributes).toMatchObject({ 'rpc.grpc.status_code': 5, 'sandbox.id': 'absent' });
      expect(status.failed).toBe(false);
      events.cancel();
    } finally {
      await daemon.stop();
    }
    // The daemon has stopped, so it has sent all spans.
    expect(namesOf(collector.spans)).toContain('runtime.v1.RuntimeService/ListPodSandbox');
    expect(namesOf(collector.spans).filter((name) => name.includes('GetContainerEvents'))).toEqual([]);
  });
});

describe('a daemon that cannot send spans', () => {
  it("answers as usual while the collector is dead, warns once, reports the collector's return, and ends in time", async () => {
    const { port } = collector;
    await collector.close();
    process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '500';
    const daemon = await ChildDaemon.start();
    try {
      await daemon.says('Tracing calls');
      const lost = 'The trace collector does not accept spans';
      await daemon.client.call('Version', {});
      await daemon.says(lost);
      for (let calls = 0; calls < 50; calls++) await daemon.client.call('ListContainers', {});
      collector = await TraceCollector.start(port);
      const again = daemon.says('The trace collector accepts spans again');
      // The daemon sends a batch only when there is a span.
      const calling = setInterval(() => void daemon.client.call('Version', {}), 50);
      await again.finally(() => clearInterval(calling));
      expect(daemon.log.filter(({ message }) => message.startsWith(lost))).toHaveLength(1);
      expect(daemon.log.filter(({ message }) => message.includes('OpenTelemetry'))).toEqual([]);
      collector.answer = 'hang';
      await daemon.client.call('Version', {});
      const started = performance.now();
      expect(await daemon.terminate()).toBe(0);
      expect(performance.now() - started).toBeLessThan(8_000);
      expect(daemon.log.filter(({ message }) => message.includes('left behind'))).toEqual([]);
    } finally {
      await daemon.kill9();
      await daemon.discard();
    }
  });

  it('serves without traces when it cannot use the protocol, and says so', async () => {
    process.env.OTEL_EXPORTER_OTLP_PROTOCOL = 'grpc';
    const daemon = await ChildDaemon.start();
    try {
      expect(await daemon.says('Cannot trace')).toMatchObject({
        level: 'error',
        error: expect.stringContaining('OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"') as string,
      });
      await daemon.client.call('Version', {});
    } finally {
      await daemon.stop();
    }
    expect(collector.requests).toBe(0);
  });
});

describe('the loaded packages', () => {
  /** Loads the daemon's code, opens tracing as it does, and prints the loaded packages of OpenTelemetry. */
  const PROBE = `
    require('./daemon.js');
    const { openTracing } = require('./tracing/tracing.js');
    const { silentLogger } = require('./lib/logger.js');
    openTracing(process.env, '0', silentLogger).then(() => {
      const found = Object.keys(require.cache)
        .map((path) => /@opentelemetry\\/([^/]+)/.exec(path)?.[1])
        .filter((name) => name !== undefined);
      process.stdout.write(JSON.stringify([...new Set(found)].sort()));
      process.exit(0);
    });`;
  const loaded = (env: NodeJS.ProcessEnv): unknown => {
    const cwd = join(__dirname, '../../dist');
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', PROBE], { cwd, env, encoding: 'utf8' });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };

  it('include only the interface that prom-client needs from OpenTelemetry, unless its variables are set', async () => {
    const { PATH } = process.env;
    expect(loaded({ PATH })).toEqual(['api']);
    expect(
      loaded({ PATH, OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint }),
    ).toEqual(['api']);
    expect(loaded({ PATH, OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint })).toContain('sdk-trace-base');
    const promClient = join(__dirname, '../../node_modules/prom-client/package.json');
    expect(await readFile(promClient, 'utf8')).toContain('@opentelemetry/api');
  });
});
