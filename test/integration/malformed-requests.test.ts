import { once } from 'node:events';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { cri } from '../../src/proto';
import { IMAGE_SERVICE, RUNTIME_SERVICE } from '../../src/proto/service';
import { RawHttp2Client } from '../fakes/raw-http2-client';
import { BusyDaemon } from './support/busy-daemon';
import { expectFailure, failureOf } from './support/grpc';

const LARGE = 'x'.repeat(10 * 1024 * 1024);
const busy = new BusyDaemon();
let raw: Client;

beforeAll(async () => {
  await busy.start();
  raw = new Client(busy.endpoint.replace('unix://', 'unix:'), credentials.createInsecure(), {
    'grpc.max_send_message_length': 64 * 1024 * 1024,
  });
});
afterAll(async () => {
  raw.close();
  await busy.stop();
});
afterEach(() => busy.expectUntouched());

/** Sends bytes to a method, and returns bytes. */
async function send(path: string, bytes: Buffer): Promise<Buffer> {
  const same = (message: Buffer): Buffer => message;
  return new Promise((resolve, reject) => {
    raw.makeUnaryRequest(
      path,
      same,
      same,
      bytes,
      new Metadata(),
      { deadline: Date.now() + 10_000 },
      (error, reply) => {
        if (error) reject(error);
        else resolve(reply ?? Buffer.alloc(0));
      },
    );
  });
}

/** Returns the messages of a stream: all of them, or those of an endless stream until its headers arrive. */
async function receive(path: string, bytes: Buffer, endless: boolean): Promise<Buffer[]> {
  const same = (message: Buffer): Buffer => message;
  const call = raw.makeServerStreamRequest(path, same, same, bytes, new Metadata(), {
    deadline: Date.now() + 10_000,
  });
  const messages: Buffer[] = [];
  call.on('data', (message: Buffer) => messages.push(message));
  // A cancellation also ends the call, with an error.
  const ended = once(call, 'end');
  if (!endless) await ended;
  else {
    await once(call, 'metadata');
    ended.catch(() => undefined);
    call.cancel();
  }
  return messages;
}

const METHODS = [...Object.entries(RUNTIME_SERVICE), ...Object.entries(IMAGE_SERVICE)].map(
  ([name, method]) => ({
    name,
    path: method.path,
    streams: method.responseStream,
  }),
);
const UNARY = METHODS.filter(({ streams }) => !streams);

/** The result of an empty request. A pattern means INVALID_ARGUMENT with the name of the field. */
const EMPTY: Record<string, 'OK' | 'endless' | 'UNIMPLEMENTED' | RegExp> = {
  Version: 'OK',
  Status: 'OK',
  RuntimeConfig: 'OK',
  UpdateRuntimeConfig: 'OK',
  ListPodSandbox: 'OK',
  ListContainers: 'OK',
  ListImages: 'OK',
  ImageFsInfo: 'OK',
  RunPodSandbox: /^config: /,
  StopPodSandbox: /^pod_sandbox_id: /,
  RemovePodSandbox: /^pod_sandbox_id: /,
  PodSandboxStatus: /^pod_sandbox_id: /,
  CreateContainer: /^pod_sandbox_id: /,
  StartContainer: /^container_id: /,
  StopContainer: /^container_id: /,
  RemoveContainer: /^container_id: /,
  ContainerStatus: /^container_id: /,
  ExecSync: /^(container_id|cmd): /,
  ImageStatus: /^image: /,
  PullImage: /^image: /,
  RemoveImage: /^image: /,
  ReopenContainerLog: /^container_id: /,
  UpdateContainerResources: /^container_id: /,
  UpdatePodSandboxResources: /^pod_sandbox_id: /,
  Exec: /^(container_id|cmd): /,
  // At least one of the streams is required.
  Attach: /^(container_id|stdin)\b/,
  PortForward: /^pod_sandbox_id: /,
  ContainerStats: /^container_id: /,
  PodSandboxStats: /^pod_sandbox_id: /,
  CheckpointContainer: /^(container_id|location): /,
  CheckpointPod: 'UNIMPLEMENTED',
  RestorePod: 'UNIMPLEMENTED',
  ListContainerStats: 'OK',
  ListPodSandboxStats: 'OK',
  ListMetricDescriptors: 'OK',
  ListPodSandboxMetrics: 'OK',
  StreamPodSandboxes: 'OK',
  StreamContainers: 'OK',
  StreamContainerStats: 'OK',
  StreamPodSandboxStats: 'OK',
  StreamPodSandboxMetrics: 'OK',
  StreamImages: 'OK',
  GetContainerEvents: 'endless',
};

describe('an empty request', () => {
  it.each(METHODS)('of $name has the expected result', async ({ name, path, streams }) => {
    const wanted = EMPTY[name];
    const answer = (): Promise<unknown> =>
      streams ? receive(path, Buffer.alloc(0), wanted === 'endless') : send(path, Buffer.alloc(0));
    if (wanted instanceof RegExp) await expectFailure(answer(), 'INVALID_ARGUMENT', wanted);
    else if (wanted === 'UNIMPLEMENTED') await expectFailure(answer(), 'UNIMPLEMENTED', /Docker/);
    else await expect(answer()).resolves.toBeDefined();
  });

  it('has an expected result for every method', () => {
    expect(Object.keys(EMPTY).sort()).toEqual(METHODS.map(({ name }) => name).sort());
  });
});

describe('bytes that are not a message', () => {
  const GARBAGE: [string, Buffer][] = [
    ['a field cut off', Buffer.from([0x0a, 0x7f, 0x01])],
    ['an endless varint', Buffer.alloc(100, 0xff)],
    ['a group without end', Buffer.from([0x0b])],
    ['field number 0', Buffer.from([0x00, 0x00])],
    ['a length beyond 2^32', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ];

  it.each(UNARY)('are INVALID_ARGUMENT for $name', async ({ path }) => {
    for (const [what, bytes] of GARBAGE) {
      const error = await failureOf(send(path, bytes));
      expect([what, status[error.code]]).toEqual([what, 'INVALID_ARGUMENT']);
    }
  });

  it('are refused with an error about the request as a whole', async () => {
    await expectFailure(
      send(RUNTIME_SERVICE.RunPodSandbox.path, Buffer.from([0x0a, 0x7f])),
      'INVALID_ARGUMENT',
      /^request: /,
    );
  });

  it('are refused if they nest deeply enough to overflow a stack', async () => {
    // These bytes are groups, one inside the other, of which unknown fields may consist.
    for (const bytes of [Buffer.alloc(200_000, 0xfb), Buffer.alloc(1_000_000, 0x0b)])
      await expectFailure(send(RUNTIME_SERVICE.RunPodSandbox.path, bytes), 'INVALID_ARGUMENT', /^request: /);
  });

  it('never end the daemon if they are random', async () => {
    // The generator is our own, so that a failure can be repeated.
    let seed = 42;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    const harmless = UNARY.filter(({ name }) => !/^(Run|Create|Pull)/.test(name));
    for (let round = 0; round < 20; round++) {
      const calls = harmless.map(({ path }) =>
        send(path, Buffer.from(Array.from({ length: random(64) }, () => random(256)))).then(
          () => 'OK',
          (error: unknown) => status[(error as ServiceError).code],
        ),
      );
      for (const code of await Promise.all(calls))
        expect(code).not.toMatch(/INTERNAL|UNKNOWN|DEADLINE|UNAVAILABLE/);
    }
  });

  it('are RESOURCE_EXHAUSTED beyond 16 MiB, even if they are a message', async () => {
    const bytes = RUNTIME_SERVICE.RunPodSandbox.requestSerialize({
      config: { hostname: 'x'.repeat(17 * 1024 * 1024) },
    });
    await expectFailure(send(RUNTIME_SERVICE.RunPodSandbox.path, bytes), 'RESOURCE_EXHAUSTED');
  });

  it('that are not HTTP/2 end only their connection', async () => {
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      '\0'.repeat(100),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\0\0\0\0\0\0',
    ]) {
      const peer = new RawHttp2Client(busy.endpoint.slice('unix://'.length));
      peer.send(Buffer.from(bytes, 'latin1'));
      peer.socket.end();
      await peer.closed;
    }
  });
});

describe('the daemon', () => {
  // The largest number is missing, because it is valid and means a year.
  it.each([-1, '-9223372036854775808'])('refuses StopContainer with a timeout of %s', async (timeout) => {
    const request = { container_id: busy.container, timeout } as cri.IStopContainerRequest;
    await expectFailure(busy.client.call('StopContainer', request), 'INVALID_ARGUMENT', /^timeout: /);
  });

  it.each([-1, '-9223372036854775808', '9223372036854775807'])(
    'refuses ExecSync with a timeout of %s',
    async (timeout) => {
      const request = { container_id: busy.container, cmd: ['true'], timeout } as cri.IExecSyncRequest;
      await expectFailure(busy.client.call('ExecSync', request), 'INVALID_ARGUMENT', /^timeout: /);
    },
  );

  it('refuses ExecSync without a command, with an empty one, and with a NUL', async () => {
    const exec = (cmd: string[]): Promise<unknown> =>
      busy.client.call('ExecSync', { container_id: busy.container, cmd });
    await expectFailure(exec([]), 'INVALID_ARGUMENT', /^cmd: /);
    await expectFailure(exec(['']), 'INVALID_ARGUMENT', /^cmd\[0\]: /);
    await expectFailure(exec(['sh', 'a\0']), 'INVALID_ARGUMENT', /^cmd\[1\]: /);
  });

  it.each(['UPPER', 'a b', 'x:', '@', 'a\0b', '../../etc', 'http://x/y', 'a@sha256:12', '😀', LARGE])(
    'refuses the invalid image name number %#',
    async (image) => {
      for (const method of ['ImageStatus', 'PullImage', 'RemoveImage'] as const) {
        await expectFailure(
          busy.client.call(method, { image: { image } }),
          'INVALID_ARGUMENT',
          /^image\.image: /,
        );
      }
      const filter = { image: { image } };
      await expectFailure(
        busy.client.call('ListImages', { filter }),
        'INVALID_ARGUMENT',
        /^filter\.image\.image: /,
      );
    },
  );

  it('refuses PullImage with invalid credentials, and does not repeat them in the error', async () => {
    const call = busy.client.call('PullImage', { image: { image: 'a' }, auth: { auth: 'c2VjcmV0' } });
    const error = await failureOf(call);
    expect(status[error.code]).toBe('INVALID_ARGUMENT');
    expect(error.details).toMatch(/^auth\.auth: /);
    expect(error.details).not.toMatch(/c2VjcmV0|secret/);
  });

  it.each([
    ['ListContainers', { filter: { state: { state: 9 as 0 } } }],
    ['ListPodSandbox', { filter: { state: { state: 9 as 0 } } }],
  ] as const)('refuses %s with an unknown state', async (method, request) => {
    await expectFailure(busy.client.call(method, request), 'INVALID_ARGUMENT', /^filter\.state\.state: .*9/);
  });

  it.each(['no-such', '../x', '\0', 'x'.repeat(1024 * 1024), '%2e%2e'])(
    'does not find, or refuses, the id number %#',
    async (id) => {
      // An id in a wrong form is only unknown. A NUL makes it an invalid argument.
      const code = id === '\0' ? 'INVALID_ARGUMENT' : 'NOT_FOUND';
      await expectFailure(busy.client.call('ContainerStatus', { container_id: id }), code);
      await expectFailure(busy.client.call('PodSandboxStatus', { pod_sandbox_id: id }), code);
      await expectFailure(busy.client.call('StartContainer', { container_id: id }), code);
      await expectFailure(busy.client.call('ExecSync', { container_id: id, cmd: ['true'] }), code);
    },
  );

  it('refuses UpdateRuntimeConfig with an invalid CIDR', async () => {
    for (const pod_cidr of ['x', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/8,', '::/129', '10.0.0.0/8/8']) {
      const request = { runtime_config: { network_config: { pod_cidr } } };
      await expectFailure(busy.client.call('UpdateRuntimeConfig', request), 'INVALID_ARGUMENT', /pod_cidr: /);
    }
  });

  it('serves others when a hundred clients disconnect in the middle of a request', async () => {
    const path = busy.endpoint.slice('unix://'.length);
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const peer = new RawHttp2Client(path);
        await once(peer.socket, 'connect');
        peer.greet();
        await peer.settings;
        peer.open(RUNTIME_SERVICE.RunPodSandbox.path, { authority: 'localhost' });
        peer.socket.destroy();
        await peer.closed;
      }),
    );
  });
});
