import * as grpc from '@grpc/grpc-js';
import { WorkGate } from '../../../src/lib/async/stopping';
import { failedPrecondition, internal } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { wrapUnary } from '../../../src/server/call';
import { RecordingTracer } from '../support/recording-tracer';
import { same, startOneMethodServer, type OneMethodServer } from './one-method-server';

const METHOD = RUNTIME_SERVICE.RunPodSandbox;
const CONFIG = {
  metadata: { name: 'web-0', uid: 'u1', namespace: 'shop', attempt: 0 },
  annotations: { secret: 'annotated' },
};

let tracer: RecordingTracer;
let handler: () => Promise<unknown>;
let server: OneMethodServer;

beforeEach(async () => {
  tracer = new RecordingTracer();
  const wrapped = wrapUnary('RunPodSandbox', () => handler(), {
    logger: silentLogger,
    calls: new WorkGate(),
    before: undefined,
    observe: () => undefined,
    tracer,
  });
  server = await startOneMethodServer({ RunPodSandbox: METHOD }, wrapped as grpc.UntypedHandleCall, {});
});
afterEach(() => server.stop());

function send(metadata = new grpc.Metadata()): Promise<void> {
  const request = METHOD.requestSerialize({ config: CONFIG });
  return new Promise((resolve, reject) => {
    server.client.makeUnaryRequest(METHOD.path, same, same, request, metadata, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

it('the span of a call has the service and method as its name, and contains only names and ids from the request and the answer', async () => {
  handler = () => Promise.resolve({ pod_sandbox_id: 'abc' });
  await send();
  expect(tracer.spans).toEqual([
    {
      name: 'runtime.v1.RuntimeService/RunPodSandbox',
      attributes: {
        'rpc.system': 'grpc',
        'rpc.service': 'runtime.v1.RuntimeService',
        'rpc.method': 'RunPodSandbox',
        'rpc.grpc.status_code': 0,
        'k8s.namespace.name': 'shop',
        'k8s.pod.name': 'web-0',
        'sandbox.id': 'abc',
        'container.id': undefined,
        'container.image.name': undefined,
        'k8s.container.name': undefined,
      },
    },
  ]);
});

it("the span of a call belongs to the caller's trace from the metadata", async () => {
  handler = () => Promise.resolve({ pod_sandbox_id: 'abc' });
  const metadata = new grpc.Metadata();
  metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
  metadata.set('tracestate', 'vendor=1');
  await send(metadata);
  await send();
  expect(tracer.served).toMatchObject([
    { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' },
    { traceparent: undefined, tracestate: undefined },
  ]);
});

it.each([
  [internal('with a command line'), 'INTERNAL', grpc.status.INTERNAL],
  [failedPrecondition('quotes a command'), undefined, grpc.status.FAILED_PRECONDITION],
])(
  'the span of a call has the code of a failure, and is marked as failed only for a failure of the server (%s)',
  async (error, failed, code) => {
    handler = () => Promise.reject(error);
    await expect(send()).rejects.toMatchObject({ code });
    const [span] = tracer.spans;
    expect(span?.attributes['rpc.grpc.status_code']).toBe(code);
    expect(span?.failed).toBe(failed);
    expect(JSON.stringify(span)).not.toContain(error.message);
  },
);
