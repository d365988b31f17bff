import { join } from 'node:path';
import { readCalls } from '../../src/harness/show/calls';
import {
  ALPHA_IMAGE_SERVICE,
  ALPHA_RUNTIME_SERVICE,
  IMAGE_SERVICE,
  RUNTIME_SERVICE,
} from '../../src/proto/service';
import { RawHttp2Client, type RawResponse, type RequestOptions } from '../fakes/raw-http2-client';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import { containerConfig, FOREVER, podConfig } from './support/pods';

/** The header fields and frames of clients that are as old as Kubernetes 1.24. Each call gets all of them, one after the other. */
const FORMS: readonly (readonly [what: string, options: RequestOptions])[] = [
  ['the path of the socket as :authority', {}],
  ['no :authority', { authority: null }],
  [
    'a deadline and metadata',
    {
      fields: [
        ['grpc-timeout', '119999970u'],
        ['x-request', 'kubelet'],
      ],
    },
  ],
  ['a header block in CONTINUATION frames', { fragment: 20 }],
  ['padding and a priority', { padding: 9, priority: true }],
];
const EMPTY = Buffer.alloc(0);

let test: TestDaemon;
let recorder: Command;
let direct: RawHttp2Client;
let through: RawHttp2Client;
let tape: string;

beforeAll(async () => {
  test = await TestDaemon.start();
  tape = join(test.directory, 'old.tape');
  const listen = join(test.directory, 'recorded.sock');
  recorder = new Command([
    ...['cri', 'record', '--listen', `unix://${listen}`, '--upstream', test.endpoint, '-o', tape],
  ]);
  while (!recorder.stderr.includes('passes calls on')) await new Promise((resolve) => setImmediate(resolve));
  [direct, through] = await Promise.all([
    oldClient(test.endpoint.slice('unix://'.length)),
    oldClient(listen),
  ]);
});
afterAll(async () => {
  for (const { socket } of [direct, through]) socket.destroy();
  await recorder.kill();
  await test.stop();
});

/** Connects as grpc-go 1.4x does: the client waits for the SETTINGS of the server before its first call. */
async function oldClient(path: string): Promise<RawHttp2Client> {
  const client = new RawHttp2Client(path);
  client.greet();
  await client.settings;
  return client;
}

function ok({ headers, messages }: RawResponse): Buffer {
  expect({ status: headers['grpc-status'], message: headers['grpc-message'] }).toMatchObject({ status: '0' });
  return messages[0]!;
}

it('a client of Kubernetes 1.24 gets the same answers through `cri record`, and the tape has all its calls', async () => {
  const old = ALPHA_RUNTIME_SERVICE;
  const config = podConfig(test);
  const calls: string[] = [];
  const call = async (path: string, request: Buffer): Promise<Buffer> => {
    calls.push(path);
    return ok(await through.call(path, request));
  };
  const { pod_sandbox_id } = old.RunPodSandbox.responseDeserialize(
    await call(old.RunPodSandbox.path, old.RunPodSandbox.requestSerialize({ config })),
  );
  const created = { pod_sandbox_id, sandbox_config: config, config: containerConfig('main', FOREVER) };
  const { container_id } = old.CreateContainer.responseDeserialize(
    await call(old.CreateContainer.path, old.CreateContainer.requestSerialize(created)),
  );
  await call(old.StartContainer.path, old.StartContainer.requestSerialize({ container_id }));

  const image = { image: { image: TEST_IMAGE } };
  const reads = [
    [RUNTIME_SERVICE, IMAGE_SERVICE] as const,
    [ALPHA_RUNTIME_SERVICE, ALPHA_IMAGE_SERVICE] as const,
  ].flatMap(([runtime, images]): [path: string, request: Buffer][] => [
    [runtime.Version.path, EMPTY],
    [runtime.Status.path, runtime.Status.requestSerialize({ verbose: false })],
    [runtime.ListPodSandbox.path, EMPTY],
    [runtime.PodSandboxStatus.path, runtime.PodSandboxStatus.requestSerialize({ pod_sandbox_id })],
    [runtime.ListContainers.path, EMPTY],
    [runtime.ContainerStatus.path, runtime.ContainerStatus.requestSerialize({ container_id })],
    [runtime.ContainerStatus.path, runtime.ContainerStatus.requestSerialize({ container_id: 'no-such' })],
    [images.ListImages.path, EMPTY],
    [images.ImageStatus.path, images.ImageStatus.requestSerialize(image)],
    // A method that is newer than the client's API.
    [runtime.Version.path.replace('Version', 'NoSuchMethod'), EMPTY],
  ]);
  for (const [path, request] of reads)
    for (const [form, options] of FORMS) {
      calls.push(path);
      const [mine, theirs] = [
        await through.call(path, request, options),
        await direct.call(path, request, options),
      ];
      // Each server sends a date of its own.
      delete mine.headers.date;
      delete theirs.headers.date;
      expect([path, form, mine]).toEqual([path, form, theirs]);
    }

  const exec = { container_id, cmd: ['echo', 'hello'] };
  const { stdout } = old.ExecSync.responseDeserialize(
    await call(old.ExecSync.path, old.ExecSync.requestSerialize(exec)),
  );
  expect(Buffer.from(stdout).toString()).toBe('hello\n');
  await call(old.StopPodSandbox.path, old.StopPodSandbox.requestSerialize({ pod_sandbox_id }));
  await call(old.RemovePodSandbox.path, old.RemovePodSandbox.requestSerialize({ pod_sandbox_id }));

  through.socket.destroy();
  recorder.signal('SIGTERM');
  expect(await recorder.exit()).toBe(0);
  expect(recorder.stdout).toMatch(new RegExp(`^${calls.length} calls, \\d+ bytes in .*, 0 lines lost\n`));
  const { calls: recorded, problems } = await readCalls(tape);
  expect(problems).toEqual([]);
  const told = recorded.map(({ method, api = '' }) => `/runtime.${api}.${serviceOf(method)}/${method}`);
  expect(told).toEqual(calls);
  const statuses = new Set(recorded.map(({ method, status }) => `${method} ${status}`));
  expect([...statuses].filter((one) => !one.endsWith(' OK'))).toEqual([
    'ContainerStatus NOT_FOUND',
    'NoSuchMethod UNIMPLEMENTED',
  ]);
  const open = recorded.filter(({ status, by }) => status === 'open' || by !== undefined);
  expect(open).toEqual([]);
}, 120_000);

const serviceOf = (method: string): string => (method.includes('Image') ? 'ImageService' : 'RuntimeService');
