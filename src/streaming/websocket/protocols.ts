/** How a WebSocket subprotocol carries streams. */
export interface ChannelProtocol {
  /** As negotiated; '' when the client named none. */
  readonly name: string;
  /** The version of the remote command protocol, which decides the form of the final status. */
  readonly version: number;
  readonly base64: boolean;
  readonly closable: boolean;
}

const protocol = (prefix: string, version: number): ChannelProtocol[] =>
  [false, true].map((base64) => ({
    name: `${prefix}${base64 ? 'base64.' : ''}channel.k8s.io`,
    version,
    base64,
    closable: version >= 5 && !base64,
  }));

/** Base64 clients have no way to write the 255 that ends a channel; their input ends with the connection. */
const CHANNEL_PROTOCOLS: readonly ChannelProtocol[] = [
  ...protocol('v5.', 5),
  ...protocol('v4.', 4),
  ...protocol('', 1),
  { name: '', version: 1, base64: false, closable: false },
];

/** Port-forward as a whole SPDY connection inside the messages of a WebSocket. */
export const TUNNEL_PROTOCOL = 'SPDY/3.1+portforward.k8s.io';

export function channelProtocol(name: string): ChannelProtocol | undefined {
  return CHANNEL_PROTOCOLS.find((candidate) => candidate.name === name);
}

export const CHANNEL_PROTOCOL_NAMES: readonly string[] = CHANNEL_PROTOCOLS.map(({ name }) => name);
