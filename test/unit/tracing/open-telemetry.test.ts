import { setImmediate as turn } from 'node:timers/promises';
import { RuntimeError } from '../../../src/lib/errors';
import { silentLogger, type Logger } from '../../../src/lib/logger';
import type { ServedCall, Step, Tracer } from '../../../src/lib/tracer';
import { startTracing } from '../../../src/tracing/open-telemetry';
import type { Tracing } from '../../../src/tracing/tracing';
import { TraceCollector } from '../../fakes/trace-collector';
import { gate } from '../support/async';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

let collector: TraceCollector;
let environment: NodeJS.ProcessEnv;
let tracing: Tracing;
let tracer: Tracer;

beforeEach(async () => {
  environment = { ...process.env };
  collector = await TraceCollector.start();
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.endpoint;
  process.env.OTEL_BSP_SCHEDULE_DELAY = '20';
});
afterEach(async () => {
  process.env = environment;
  await tracing.close();
  await collector.close();
});

function start(variables: Readonly<Record<string, string>> = {}, logger: Logger = silentLogger): void {
  Object.assign(process.env, variables);
  tracing = startTracing({ version: '1.2.3', logger });
  tracer = tracing.tracer;
}

const call =
  (name: string, more: Partial<ServedCall> = {}): (() => ServedCall) =>
  () => ({ name, attributes: {}, traceparent: undefined, tracestate: undefined, ...more });
const step =
  (name: string, attributes: Step['attributes'] = {}): (() => Step) =>
  () => ({ name, kind: 'client', attributes });
const nothing = (): Promise<void> => Promise.resolve();

it('spans have the caller as the parent of a call, and the call as the parent of its steps, across awaits', async () => {
  start();
  await tracer.serve(
    call('Outer', { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=1', attributes: { a: 1 } }),
    async (span) => {
      span.set(() => ({ b: 'x', absent: undefined }));
      await turn();
      await tracer.step(step('Inner', { c: 'y' }), async () => {
        await turn();
        await tracer.step(step('Innermost'), nothing);
      });
    },
  );
  const outer = await collector.span('Outer');
  expect(outer).toMatchObject({ traceId: TRACE, parent: PARENT, traceState: 'vendor=1', kind: 'server' });
  expect(outer.attributes).toEqual({ a: 1, b: 'x' });
  expect(outer.failed).toBe(false);
  const [inner] = collector.childrenOf(outer);
  expect(inner).toMatchObject({ name: 'Inner', traceId: TRACE, kind: 'client', attributes: { c: 'y' } });
  expect(collector.childrenOf(inner!).map(({ name }) => name)).toEqual(['Innermost']);
});

it('spans of simultaneous calls stay separate', async () => {
  start();
  const both = gate();
  const one = (name: string): Promise<void> =>
    tracer.serve(call(name), async () => {
      await both.promise;
      await tracer.step(step(`step of ${name}`), nothing);
    });
  const work = [one('A'), one('B')];
  both.resolve();
  await Promise.all(work);
  for (const name of ['A', 'B']) {
    const span = await collector.span(name);
    expect(span.parent).toBe('');
    expect(collector.childrenOf(span).map((child) => child.name)).toEqual([`step of ${name}`]);
  }
});

it('a step outside a call, or after the answer, has no span', async () => {
  start();
  const answered = gate();
  let later: Promise<unknown> = nothing();
  expect(await tracer.step(step('alone'), (span) => Promise.resolve(span.headers))).toBeUndefined();
  await tracer.serve(call('Call'), () => {
    later = answered.promise.then(() => tracer.step(step('late'), nothing));
    return nothing();
  });
  answered.resolve();
  await later;
  await tracing.close();
  expect(collector.spans.map(({ name }) => name)).toEqual(['Call']);
});

it('spans contain the codes of failures, and never their messages', async () => {
  start();
  const secret = new RuntimeError('NOT_FOUND', 'the secret command line');
  await expect(
    tracer.serve(call('Thrown'), () => tracer.step(step('inner'), () => Promise.reject(secret))),
  ).rejects.toBe(secret);
  await tracer.serve(call('Told'), (span) => {
    span.fail('INTERNAL');
    return nothing();
  });
  expect(await collector.span('Thrown')).toMatchObject({
    failed: true,
    statusMessage: '',
    attributes: { 'error.type': 'NOT_FOUND' },
  });
  expect(await collector.span('inner')).toMatchObject({ failed: true, statusMessage: '' });
  expect((await collector.span('Told')).attributes).toEqual({ 'error.type': 'INTERNAL' });
  expect(JSON.stringify(collector.spans, (_key, value: unknown) => String(value))).not.toContain('secret');
});

it('the service name is dockbridge unless the variables set one', async () => {
  start({ OTEL_RESOURCE_ATTRIBUTES: 'k8s.node.name=node-1,service.version=9' });
  await tracer.serve(call('Call'), nothing);
  expect((await collector.span('Call')).resource).toMatchObject({
    'service.name': 'dockbridge',
    'service.version': '9',
    'k8s.node.name': 'node-1',
    'process.pid': process.pid,
  });
  await tracing.close();
  start({ OTEL_SERVICE_NAME: 'cri' });
  await tracer.serve(call('Again'), nothing);
  expect((await collector.span('Again')).resource['service.name']).toBe('cri');
});

it('the variables set the sampling: here only calls that their caller samples', async () => {
  start({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' });
  const headers = await tracer.serve(call('Unsampled'), (span) => {
    span.set(() => {
      throw new Error('nobody reads this');
    });
    return tracer.step(step('inner'), ({ headers: told }) => Promise.resolve(told));
  });
  expect(headers?.traceparent).toMatch(/-00$/);
  await tracer.serve(call('Declined', { traceparent: `00-${TRACE}-${PARENT}-00` }), nothing);
  await tracer.serve(call('Sampled', { traceparent: `00-${TRACE}-${PARENT}-01` }), nothing);
  await tracing.close();
  expect(collector.spans.map(({ name }) => name)).toEqual(['Sampled']);
});

it.each(['', 'nonsense', `00-${'0'.repeat(32)}-${PARENT}-01`, `ff-${TRACE}-${PARENT}-01`])(
  'a call begins a trace of its own when the caller sends "%s"',
  async (traceparent) => {
    start();
    await tracer.serve(call('Call', { traceparent }), nothing);
    const span = await collector.span('Call');
    expect(span.parent).toBe('');
    expect(span.traceId).not.toBe(TRACE);
  },
);

it('each step gets the headers that make it a parent in the called program', async () => {
  start();
  const headers = await tracer.serve(call('Call'), () =>
    tracer.step(step('inner'), (span) => Promise.resolve(span.headers)),
  );
  const inner = await collector.span('inner');
  expect(headers).toEqual({ traceparent: `00-${inner.traceId}-${inner.spanId}-01` });
});

it('the exporter sends its headers, and compresses if configured', async () => {
  start({ OTEL_EXPORTER_OTLP_HEADERS: 'x-token=abc', OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' });
  await tracer.serve(call('Call'), nothing);
  await collector.span('Call');
  expect(collector.headers).toMatchObject({
    'x-token': 'abc',
    'content-encoding': 'gzip',
    'content-type': 'application/x-protobuf',
  });
});

it('the queue of spans is limited, and no call waits, when the collector never answers', async () => {
  collector.answer = 'hang';
  start({ OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5' });
  for (let turns = 0; turns < 50; turns++) await tracer.serve(call('Call'), nothing);
  await turn();
  const started = performance.now();
  await tracing.close();
  expect(performance.now() - started).toBeLessThan(4_000);
  // At most one request for the five spans under way, and two for the ten spans in the queue.
  expect(collector.requests).toBeLessThanOrEqual(3);
});

it("a variable that the SDK does not understand causes a warning, and the SDK's default applies", async () => {
  const warnings: unknown[] = [];
  start(
    { OTEL_TRACES_SAMPLER: 'sometimes' },
    { ...silentLogger, warn: (message, fields) => warnings.push([message, fields]) },
  );
  await tracer.serve(call('Call'), nothing);
  await collector.span('Call');
  expect(warnings).toEqual([
    ['OpenTelemetry warns', { warning: expect.stringContaining('"sometimes"') as string }],
  ]);
});
