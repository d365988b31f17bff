import http from 'node:http';
import https from 'node:https';
import type { EngineAuth } from '../engine/types';
import { invalidArgument, messageOf } from '../lib/errors';
import type { cri, Decoded } from '../proto';

/**
 * Converts CRI's AuthConfig to the header `X-Registry-Auth`; returns undefined without credentials. `auth` is base64 of
 * `user:password`.
 */
export function toEngineAuth(auth: Decoded<cri.IAuthConfig> | null): EngineAuth | undefined {
  if (auth === null) return undefined;
  const fromAuth = auth.auth === '' ? undefined : requestedBasic(auth.auth);
  const username = auth.username === '' ? fromAuth?.username : auth.username;
  const password = auth.password === '' ? fromAuth?.password : auth.password;
  const engineAuth: EngineAuth = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(auth.server_address === '' ? {} : { serveraddress: auth.server_address }),
    ...(auth.identity_token === '' ? {} : { identitytoken: auth.identity_token }),
    ...(auth.registry_token === '' ? {} : { registrytoken: auth.registry_token }),
  };
  return Object.keys(engineAuth).length === 0 ? undefined : engineAuth;
}

/**
 * Decodes base64 of `user:password`, and removes the NULs with which old docker logins padded it.
 * @throws Error, whose message does not contain the secret.
 */
export function decodeBasic(auth: string): { username: string; password: string } {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon === -1) throw new Error('is not base64 of user:password');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function requestedBasic(auth: string): { username: string; password: string } {
  try {
    return decodeBasic(auth);
  } catch (error) {
    throw invalidArgument('auth.auth', messageOf(error));
  }
}

const HUB = 'registry-1.docker.io';

/**
 * Returns the HTTP status of a registry's answer to an anonymous `GET /v2/`. It is 401 if the registry requires credentials.
 * The request contains nothing secret and only the status is used, so any certificate is accepted, and plain HTTP is used if
 * there is no TLS.
 * @param signal ends the request, because a registry may never answer.
 * @returns undefined when the registry does not answer.
 */
export async function anonymousStatus(host: string, signal: AbortSignal): Promise<number | undefined> {
  const target = host === 'docker.io' ? HUB : host;
  return (
    (await statusOf(https, `https://${target}/v2/`, signal)) ??
    (await statusOf(http, `http://${target}/v2/`, signal))
  );
}

function statusOf(
  library: typeof http | typeof https,
  url: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = library.get(url, { signal, rejectUnauthorized: false, agent: false }, (reply) => {
      reply.destroy();
      resolve(reply.statusCode);
    });
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });
}
