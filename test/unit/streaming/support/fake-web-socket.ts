import { EventEmitter } from 'node:events';
import type { WebSocket } from 'ws';

/** The part of a WebSocket that sessions use. Sent data leaves at once. */
export class FakeWebSocket extends EventEmitter {
  readonly sent: (string | Buffer)[] = [];
  readonly binary: boolean[] = [];
  readonly calls: string[] = [];
  bufferedAmount = 0;
  sendError: Error | undefined;

  send(data: string | Buffer, { binary }: { binary: boolean }, done: (error?: Error) => void): void {
    this.sent.push(data);
    this.binary.push(binary);
    done(this.sendError);
  }
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  pong(): void {
    this.calls.push('pong');
  }
  close(code: number, reason?: Buffer): void {
    this.calls.push(['close', code, ...(reason === undefined ? [] : [reason.toString()])].join(' '));
  }
  terminate(): void {
    this.calls.push('terminate');
    this.emit('close');
  }
}

export const asWebSocket = (socket: FakeWebSocket): WebSocket => socket as EventEmitter as WebSocket;
