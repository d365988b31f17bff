import type { Duplex, Readable, Writable } from 'node:stream';
import type { TerminalSizes } from './remotecommand/terminal-sizes';

/** The streams that a request asks for. */
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

/** A client's end of an exec or attach session. A stream is present if and only if the request asks for it. */
export interface ClientStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly sizes: TerminalSizes;
  /** Fires when the client has disconnected, has been idle or has read nothing for too long, or when the server closes. */
  readonly gone: AbortSignal;
}

/** The functions that the streaming server calls. The text of a rejection is shown to the client. */
export interface StreamingBackend {
  /**
   * Runs a command to its end. When this resolves, all output has been written, but the streams have not been ended.
   * @returns the command's exit code.
   */
  exec(request: ExecRequest, client: ClientStreams): Promise<number>;
  /** Connects a client with a container. Resolves when the container ends. Rejects when the client has gone or is dropped. */
  attach(request: AttachRequest, client: ClientStreams): Promise<void>;
  /** Opens a connection to a port of the pod's loopback interface. The caller destroys the connection. */
  connect(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex>;
}
