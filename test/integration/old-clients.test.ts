import { ContainerState } from '../../src/proto/enums';
import {
  ALPHA_IMAGE_SERVICE,
  ALPHA_RUNTIME_SERVICE,
  IMAGE_SERVICE,
  RUNTIME_SERVICE,
} from '../../src/proto/service';
import { CriClient } from '../../src/server/client/cri-client';
import { RawHttp2Client, type RawResponse } from '../fakes/raw-http2-client';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import { containerConfig, FOREVER, output, podConfig, runPod, startedContainer } from './support/pods';

let test: TestDaemon;
let pod: string;
let container: string;
const clients: RawHttp2Client[] = [];

beforeAll(async () => {
  test = await TestDaemon.start();
  pod = await runPod(test);
  container = await startedContainer(test, pod, containerConfig('main', FOREVER));
});
afterAll(() => test.stop());
afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.socket.destroy();
    await client.closed;
  }
});

/**
 * Behaves like grpc-go: it sends the preface, waits for the server's SETTINGS, and then makes calls. It
 * sends the raw socket path as :authority.
 */
async function oldClient(): Promise<RawHttp2Client> {
  const client = new RawHttp2Client(test.endpoint.slice('unix://'.length));
  clients.push(client);
  client.greet();
  await client.settings;
  return client;
}

function ok({ headers, messages }: RawResponse): Buffer {
  expect({ status: headers['grpc-status'], message: headers['grpc-message'] }).toMatchObject({ status: '0' });
  expect(messages).toHaveLength(1);
  return messages[0]!;
}

const EMPTY = Buffer.alloc(0);

it('the test client sends the socket path as the authority, as old clients do', async () => {
  const sent: Buffer[] = [];
  const path = test.endpoint.slice('unix://'.length);
  const client = new RawHttp2Client(path, (socket, bytes) => {
    sent.push(bytes);
    socket.write(bytes);
  });
  clients.push(client);
  client.greet();
  await client.settings;
  ok(await client.call(RUNTIME_SERVICE.Version.path, EMPTY));
  expect(Buffer.concat(sent).includes(path)).toBe(true);
  expect(path.startsWith('/')).toBe(true);
});

it.each([
  ['v1', RUNTIME_SERVICE, IMAGE_SERVICE],
  ['v1alpha2', ALPHA_RUNTIME_SERVICE, ALPHA_IMAGE_SERVICE],
])('%s clients get version, status, lists and statuses', async (api, runtime, image) => {
  const client = await oldClient();
  expect(runtime.Version.path).toBe(`/runtime.${api}.RuntimeService/Version`);
  const version = runtime.Version.responseDeserialize(ok(await client.call(runtime.Version.path, EMPTY)));
  expect(version).toMatchObject({ version: '0.1.0', runtime_name: 'docker', runtime_api_version: 'v1' });

  const { containers } = runtime.ListContainers.responseDeserialize(
    ok(await client.call(runtime.ListContainers.path, EMPTY)),
  );
  expect(containers).toEqual([
    expect.objectContaining({ id: container, pod_sandbox_id: pod, state: ContainerState.CONTAINER_RUNNING }),
  ]);

  const { items } = runtime.ListPodSandbox.responseDeserialize(
    ok(await client.call(runtime.ListPodSandbox.path, EMPTY)),
  );
  expect(items.map(({ id }) => id)).toEqual([pod]);

  const request = runtime.ContainerStatus.requestSerialize({ container_id: container });
  const { status } = runtime.ContainerStatus.responseDeserialize(
    ok(await client.call(runtime.ContainerStatus.path, request)),
  );
  expect(status?.id).toBe(container);

  const { images } = image.ListImages.responseDeserialize(
    ok(await client.call(image.ListImages.path, EMPTY)),
  );
  expect(images.flatMap(({ repo_tags }) => repo_tags)).toContain(TEST_IMAGE);
});

it('a pod lives its whole life over v1alpha2', async () => {
  const client = await oldClient();
  const runtime = ALPHA_RUNTIME_SERVICE;
  const config = podConfig(test);
  const { pod_sandbox_id } = runtime.RunPodSandbox.responseDeserialize(
    ok(await client.call(runtime.RunPodSandbox.path, runtime.RunPodSandbox.requestSerialize({ config }))),
  );
  const { container_id } = runtime.CreateContainer.responseDeserialize(
    ok(
      await client.call(
        runtime.CreateContainer.path,
        runtime.CreateContainer.requestSerialize({
          pod_sandbox_id,
          config: containerConfig('main', FOREVER),
          sandbox_config: config,
        }),
      ),
    ),
  );
  ok(
    await client.call(runtime.StartContainer.path, runtime.StartContainer.requestSerialize({ container_id })),
  );
  const exec = runtime.ExecSync.responseDeserialize(
    ok(
      await client.call(
        runtime.ExecSync.path,
        runtime.ExecSync.requestSerialize({ container_id, cmd: ['echo', 'hello'] }),
      ),
    ),
  );
  expect(Buffer.from(exec.stdout).toString()).toBe('hello\n');
  ok(
    await client.call(
      runtime.StopPodSandbox.path,
      runtime.StopPodSandbox.requestSerialize({ pod_sandbox_id }),
    ),
  );
  ok(
    await client.call(
      runtime.RemovePodSandbox.path,
      runtime.RemovePodSandbox.requestSerialize({ pod_sandbox_id }),
    ),
  );
  // Clients of both versions see the same pods.
  const { items } = await test.client.call('ListPodSandbox', {});
  expect(items.map(({ id }) => id)).toEqual([pod]);
});

it('errors reach an old client with their code and text', async () => {
  const client = await oldClient();
  const request = RUNTIME_SERVICE.ContainerStatus.requestSerialize({ container_id: 'no-such' });
  const { headers, messages } = await client.call(RUNTIME_SERVICE.ContainerStatus.path, request);
  expect(headers['grpc-status']).toBe('5');
  expect(decodeURIComponent(headers['grpc-message']!)).toContain('no-such');
  expect(messages).toEqual([]);
  const unknown = await client.call('/runtime.v1alpha2.RuntimeService/CheckpointContainer', EMPTY);
  expect(unknown.headers['grpc-status']).toBe('12');
});

it('old and new clients make many simultaneous calls on many connections', async () => {
  const olds = await Promise.all(Array.from({ length: 10 }, oldClient));
  const news = Array.from({ length: 10 }, () => new CriClient(test.endpoint));
  try {
    const ids: string[][] = await Promise.all(
      Array.from({ length: 50 }, (_, round) => round).flatMap((round) => [
        ...olds.map(async (client) => {
          const service = round % 2 === 0 ? RUNTIME_SERVICE : ALPHA_RUNTIME_SERVICE;
          const answer = ok(await client.call(service.ListContainers.path, EMPTY));
          return service.ListContainers.responseDeserialize(answer).containers.map(({ id }) => id);
        }),
        ...news.map(async (client) => {
          const { containers } = await client.call('ListContainers', {});
          return containers.map(({ id }) => id);
        }),
      ]),
    );
    expect(ids).toHaveLength(1000);
    for (const listed of ids) expect(listed).toEqual([container]);
  } finally {
    for (const client of news) client.close();
  }
});

it('an answer of megabytes over a repaired connection is complete', async () => {
  const client = await oldClient();
  const bytes = 3 * 1024 * 1024;
  const { stdout } = RUNTIME_SERVICE.ExecSync.responseDeserialize(
    ok(
      await client.call(
        RUNTIME_SERVICE.ExecSync.path,
        RUNTIME_SERVICE.ExecSync.requestSerialize({
          container_id: container,
          cmd: ['/bin/sh', '-c', `head -c ${bytes} /dev/zero | tr '\\0' x`],
        }),
      ),
    ),
  );
  expect(stdout.length).toBe(bytes);
  expect(Buffer.from(stdout).equals(Buffer.alloc(bytes, 'x'))).toBe(true);
});

it('an old client that dies in the middle of a call ends only its own call', async () => {
  const dying = await oldClient();
  const staying = await oldClient();
  const request = RUNTIME_SERVICE.ExecSync.requestSerialize({
    container_id: container,
    cmd: ['tail', '-f', '/dev/null'],
  });
  const lost = dying.call(RUNTIME_SERVICE.ExecSync.path, request);
  lost.catch(() => undefined);
  await output(test, container, 'until pgrep tail; do :; done');
  dying.socket.destroy();
  await expect(lost).rejects.toThrow('connection closed');
  await output(test, container, 'while pgrep tail; do :; done');
  ok(await staying.call(RUNTIME_SERVICE.Version.path, EMPTY));
});
