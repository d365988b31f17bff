import { invalidArgument, messageOf } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import type { EngineAuth } from '../engine/types';

/** CRI AuthConfig → `X-Registry-Auth`; undefined without credentials. `auth` is base64 of `user:password`. */
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

/** base64 of `user:password`; old docker logins padded it with NULs. @throws Error without the secret. */
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
