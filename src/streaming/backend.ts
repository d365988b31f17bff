import type { Duplex, Readable, Writable } from 'node:stream';
import type { TerminalSizes } from './remotecommand/terminal-sizes';

/** The streams that a request asked for. */
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
  /** Ports for clients that cannot name ports themselves; may be empty. */
  readonly ports: readonly number[];
}

/** A client's end of an exec or attach session. A stream is present if and only if the request asked for it. */
export interface ClientStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly sizes: TerminalSizes;
  /** Fires when the client has left, was idle for too long or the server closes. */
  readonly gone: AbortSignal;
}

/** What the streaming server calls. The text of a rejection is shown to the client. */
export interface StreamingBackend {
  /**
   * Runs the command to its end. When it resolves, all output has been written, but the streams are not ended.
   * @returns its exit code.
   */
  exec(request: ExecRequest, client: ClientStreams): Promise<number>;
  /** Resolves when the container ends or the client is dropped. */
  attach(request: AttachRequest, client: ClientStreams): Promise<void>;
  /** A connection to a port of the pod's loopback interface; the caller destroys it. */
  connect(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex>;
}
