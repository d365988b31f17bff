import type { Duplex, Readable, Writable } from 'node:stream';
import type { TerminalSizes } from './remotecommand/terminal-sizes';

/** Which streams a client was promised. */
export interface Wanted {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecRequest extends Wanted {
  readonly containerId: string;
  readonly command: readonly string[];
}

export interface AttachRequest extends Wanted {
  readonly containerId: string;
}

export interface PortForwardRequest {
  readonly sandboxId: string;
  /** For clients that cannot name ports themselves; may be empty. */
  readonly ports: readonly number[];
}

/** A client's end of an exec or attach session. Streams are there exactly when the request wanted them. */
export interface ClientStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly sizes: TerminalSizes;
  /** Fires when the client has left, was idle for too long or the server closes. */
  readonly gone: AbortSignal;
}

/** What the streaming server works on; rejections become the text that the client reads. */
export interface StreamingBackend {
  /**
   * Runs the command to its end; all of its output has been written (not ended) then.
   * @returns its exit code.
   */
  exec(request: ExecRequest, client: ClientStreams): Promise<number>;
  /** Resolves when the container ends or lets go of the client. */
  attach(request: AttachRequest, client: ClientStreams): Promise<void>;
  /** A connection to a port of the pod's loopback interface; the caller destroys it. */
  connect(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex>;
}
