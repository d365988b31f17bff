import * as grpc from '@grpc/grpc-js';
import { abortable } from '../../../src/lib/async/abortable';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { RawHttp2Client } from '../../fakes/raw-http2-client';
import { HELLO, VersionServer } from './version-server';

let room: VersionServer;
beforeEach(async () => {
  room = await VersionServer.start();
});
afterEach(() => room.stop());

describe('the signal of a call', () => {
  /** Sets a handler that runs until its signal fires. Returns promises of its start and of the reason for its end. */
  function patient(): { begun: Promise<AbortSignal>; ended: Promise<unknown> } {
    let [begin, end]: [(signal: AbortSignal) => void, (reason: unknown) => void] = [
      () => undefined,
      () => undefined,
    ];
    const begun = new Promise<AbortSignal>((resolve) => (begin = resolve));
    const ended = new Promise<unknown>((resolve) => (end = resolve));
    room.handler = async (_request, { signal }) => {
      begin(signal);
      try {
        return await abortable(new Promise<never>(() => undefined), signal);
      } catch (error) {
        end(error);
        throw error;
      }
    };
    return { begun, ended };
  }

  it('fires when the client cancels', async () => {
    const { begun, ended } = patient();
    const { call, answer } = room.send(HELLO);
    await begun;
    const report = room.reported();
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await report;
    expect(room.reports).toEqual([expect.objectContaining({ code: 'CANCELLED' })]);
    await room.expectAlive();
  });

  it('fires when the deadline of the client passes', async () => {
    // The client connects first, so that the deadline passes in the handler.
    await room.expectAlive();
    const { ended } = patient();
    const report = room.reported();
    await expect(room.send(HELLO, { deadline: Date.now() + 500 }).answer).rejects.toMatchObject({
      code: grpc.status.DEADLINE_EXCEEDED,
    });
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await report;
    await room.expectAlive();
  });

  it('fires when the client dies', async () => {
    const { begun, ended } = patient();
    const dying = new RawHttp2Client(room.socketPath);
    dying.greet();
    await dying.settings;
    const call = dying.call(RUNTIME_SERVICE.Version.path, HELLO, { authority: 'localhost' });
    call.catch(() => undefined);
    await begun;
    dying.socket.destroy();
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await room.expectAlive();
  });

  it('does not delay other calls if a handler ignores it', async () => {
    let begin!: () => void;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    room.handler = () => {
      begin();
      return new Promise(() => undefined);
    };
    const { call, answer } = room.send(HELLO);
    await begun;
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
    await room.expectAlive();
  });

  it('may fire before the handler ends, and later calls are answered', async () => {
    let [begin, finish]: [() => void, () => void] = [() => undefined, () => undefined];
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const finished = new Promise<void>((resolve) => (finish = resolve));
    room.handler = async () => {
      begin();
      await finished;
      return { version: 'too late' };
    };
    const { call, answer } = room.send(HELLO);
    await begun;
    const report = room.reported();
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
    finish();
    await report;
    await room.expectAlive();
  });
});
