import { failedPrecondition } from '../lib/errors';
import type { StreamingServer } from './server';

/** What a daemon needs of the server of exec, attach and port-forward. */
export type Streaming = Pick<
  StreamingServer,
  'listen' | 'prepareCertificate' | 'close' | 'execUrl' | 'attachUrl' | 'portForwardUrl' | 'sessionCount'
>;

/** No server and no sessions: for a daemon that only observes. */
export class NoStreaming implements Streaming {
  readonly sessionCount = 0;

  listen(): Promise<string> {
    return Promise.resolve('off');
  }

  prepareCertificate(): Promise<() => void> {
    return Promise.resolve(() => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  execUrl(): string {
    return refuse();
  }

  attachUrl(): string {
    return refuse();
  }

  portForwardUrl(): string {
    return refuse();
  }
}

function refuse(): never {
  throw failedPrecondition('this dockbridge serves no sessions');
}
