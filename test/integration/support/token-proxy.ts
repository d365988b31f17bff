import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { RegistryProxy } from './registry-proxy';

/** The identity token that the token server accepts, and the registry token that the registry accepts. */
export const TOKENS = { identity: 'an-identity', registry: 'a-registry-token' };

/**
 * Starts a registry that requires Bearer tokens, with the server that issues them for identity tokens (OAuth's
 * refresh).
 */
export async function startTokenProxy(registryHost: string): Promise<RegistryProxy> {
  const proxy: RegistryProxy = await RegistryProxy.start(registryHost, (call, reply) => {
    if (call.url?.startsWith('/token') === true) {
      void grant(call, reply);
      return true;
    }
    if (call.headers.authorization === `Bearer ${TOKENS.registry}`) return false;
    reply.setHeader('WWW-Authenticate', `Bearer realm="http://${proxy.host}/token",service="test"`);
    reply.setHeader('Content-Type', 'application/json');
    reply.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    return true;
  });
  return proxy;
}

async function grant(call: IncomingMessage, reply: ServerResponse): Promise<void> {
  const form = new URLSearchParams(await text(call));
  if (form.get('refresh_token') === TOKENS.identity) {
    reply.setHeader('Content-Type', 'application/json');
    reply.end(JSON.stringify({ access_token: TOKENS.registry, token: TOKENS.registry, expires_in: 300 }));
  } else reply.writeHead(401, { 'Content-Type': 'application/json' }).end('{"details":"no"}');
}
