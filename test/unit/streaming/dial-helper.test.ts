import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { until } from '../support/async';

type Listener = (message: unknown) => void;

/** The helper is a main module. Once loaded, it listens to its parent, which the test plays. */
describe('the helper in a namespace', () => {
  const listeners = new Map<string, Listener>();
  const replies: [message: unknown, socket?: Socket][] = [];
  let exit: jest.SpyInstance;
  let server: Server;
  const send = process.send?.bind(process);
  const setSend = (to: typeof send): void => {
    Object.assign(process, { send: to });
  };

  beforeAll(async () => {
    const on = jest.spyOn(process, 'on').mockImplementation((event, listener: Listener) => {
      listeners.set(String(event), listener);
      return process;
    });
    exit = jest.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    await jest.isolateModulesAsync(async () => {
      await import('../../../src/streaming/port-forward/dial-helper.js');
    });
    on.mockRestore();
    process.send = (message: unknown, socket?: unknown) =>
      replies.push([message, ...(socket === undefined ? [] : [socket as Socket])] as const as never) > 0;
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(async () => {
    setSend(send);
    exit.mockRestore();
    await new Promise((resolve) => server.close(resolve));
  });

  it('passes connections on, and reports why a connection fails', async () => {
    const { port } = server.address() as AddressInfo;
    const tell = listeners.get('message');
    tell?.({ id: 7, port });
    await until(() => replies.length === 1, 'the connection');
    const [[message, socket] = []] = replies.splice(0);
    expect([message, socket?.remotePort]).toEqual([{ id: 7 }, port]);
    socket?.destroy();
    tell?.({ id: 8, port: 99_999 });
    await until(() => replies.length === 1, 'the refusal');
    expect(replies).toEqual([
      [{ id: 8, error: expect.stringMatching(/^127\.0\.0\.1: .+; ::1: .+/) as string }],
    ]);
  });

  it('sends nothing when nobody listens any more, and ends with its parent', async () => {
    setSend(undefined);
    listeners.get('message')?.({ id: 9, port: 99_999 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(exit).not.toHaveBeenCalled();
    listeners.get('disconnect')?.(undefined);
    expect(exit.mock.calls).toEqual([[]]);
    expect([...listeners.keys()].sort()).toEqual(['disconnect', 'message']);
  });
});
