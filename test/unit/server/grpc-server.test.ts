import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { WorkGate } from '../../../src/lib/async/stopping';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { GrpcServer } from '../../../src/server/grpc-server';
import type { Services } from '../../../src/server/services';
import { gate, settle, until } from '../support/async';

let directory: string;
let session: ClientHttp2Session;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
});
afterEach(async () => {
  session.destroy();
  await rm(directory, { recursive: true });
});

it('the server closes only after the last call is answered, even if the client has announced the end of the connection', async () => {
  const [listed, began, happened] = [gate(), gate(), [] as string[]];
  const link = {
    whenListed: () => {
      began.resolve();
      return listed.promise;
    },
  };
  const store = { sandboxes: new Map(), listed: new Map() };
  const path = join(directory, 'cri.sock');
  const server = new GrpcServer({ link, store } as unknown as Services, {
    endpoint: `unix://${path}`,
    logger: silentLogger,
    gate: new WorkGate(),
    observe: ({ method }) => void happened.push(`${method} is answered`),
  });
  await server.listen();
  const socket = dial(path);
  session = connect('http://localhost', { createConnection: () => socket });
  const call = session.request({
    ':method': 'POST',
    ':path': RUNTIME_SERVICE.ListPodSandbox.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  // If the server does not wait for the call, the test fails below and shows the events so far.
  for (const one of [session, call]) one.on('error', () => undefined);
  call.end(Buffer.alloc(5));
  await began.promise;
  session.goaway(0);
  // The answer shows that the server has read the earlier frames.
  await new Promise((resolve) => session.ping(resolve));
  const closed = server.close().then(() => happened.push('the server is closed'));
  await until(() => !existsSync(path), 'the end of the socket file');
  for (let turn = 0; turn < 20; turn++) await settle();
  listed.resolve();
  await closed;
  expect(happened).toEqual(['ListPodSandbox is answered', 'the server is closed']);
});
