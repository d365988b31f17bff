import type { Duplex } from 'node:stream';
import { createWebSocketStream } from 'ws';
import { hasCode, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { AttachRequest, ExecRequest, PortForwardRequest, StreamingBackend, Wanted } from './backend';
import { forwardOverChannels, forwardOverSpdy } from './port-forward/forward';
import type { CommandClient, Outcome } from './remotecommand/command-client';
import { SpdyCommandClient } from './remotecommand/spdy-client';
import { WebSocketCommandClient } from './remotecommand/websocket-client';
import { versionOf, type Upgraded } from './upgrade';

/** The request that belongs to a token. */
export type Pending =
  | { readonly kind: 'exec'; readonly request: ExecRequest }
  | { readonly kind: 'attach'; readonly request: AttachRequest }
  | { readonly kind: 'portforward'; readonly request: PortForwardRequest };

export interface SessionParts {
  readonly backend: StreamingBackend;
  readonly logger: Logger;
  /** How long a client may take to open its streams, in ms. */
  readonly creationTimeoutMs: number;
  /** Fires when the client has read nothing for too long. */
  readonly stalled: AbortSignal;
  /** How long one forwarded connection may delay the other connections of its client, in ms. */
  readonly stuckMs: number;
}

/** Serves one upgraded connection to its end. Never rejects. */
export async function serveSession(parts: SessionParts, pending: Pending, upgraded: Upgraded): Promise<void> {
  if (pending.kind === 'portforward') return servePortForward(parts, pending.request, upgraded);
  const client = await acceptCommandClient(parts, pending.request, upgraded);
  if (client === undefined) return;
  await client.finish(await outcomeOf(parts, pending, client));
}

async function acceptCommandClient(
  { logger, creationTimeoutMs, stalled }: SessionParts,
  { containerId: container, ...wanted }: Wanted & { readonly containerId: string },
  upgraded: Upgraded,
): Promise<CommandClient | undefined> {
  switch (upgraded.kind) {
    case 'tunnel':
      // exec and attach never accept this protocol.
      upgraded.socket.terminate();
      return undefined;
    case 'channels':
      return new WebSocketCommandClient(upgraded.socket, wanted, upgraded.protocol, stalled);
    case 'spdy':
      try {
        const version = versionOf(upgraded.protocol);
        return await SpdyCommandClient.accept(
          upgraded.transport,
          wanted,
          version,
          creationTimeoutMs,
          stalled,
        );
      } catch (error) {
        logger.debug(
          () => 'A streaming client did not open its streams',
          () => ({ container, error: messageOf(error) }),
        );
        return undefined;
      }
  }
}

async function outcomeOf(
  { backend, logger, stalled }: SessionParts,
  pending: Exclude<Pending, { kind: 'portforward' }>,
  client: CommandClient,
): Promise<Outcome> {
  try {
    if (pending.kind === 'exec') {
      return { kind: 'exited', code: await backend.exec(pending.request, client) };
    }
    await backend.attach(pending.request, client);
    return { kind: 'exited', code: 0 };
  } catch (error) {
    // The disconnection of a client is not worth a log line.
    if (!client.gone.aborted || stalled.aborted) {
      logger.warn('An exec or attach session failed', {
        kind: pending.kind,
        container: pending.request.containerId,
        error: messageOf(error),
      });
    }
    return { kind: 'failed', message: messageOf(error), dropped: hasCode(error, 'RESOURCE_EXHAUSTED') };
  }
}

async function servePortForward(
  { backend, creationTimeoutMs, stalled, stuckMs }: SessionParts,
  { sandboxId, ports }: PortForwardRequest,
  upgraded: Upgraded,
): Promise<void> {
  const connect = (port: number, signal: AbortSignal): Promise<Duplex> =>
    backend.connect(sandboxId, port, signal);
  const times = { openMs: creationTimeoutMs, stuckMs, stalled };
  switch (upgraded.kind) {
    case 'spdy':
      return forwardOverSpdy(upgraded.transport, connect, times);
    case 'tunnel':
      return forwardOverSpdy(createWebSocketStream(upgraded.socket), connect, times);
    case 'channels':
      return forwardOverChannels(upgraded.socket, upgraded.protocol, ports, connect, stalled);
  }
}
