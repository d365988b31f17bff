import { invalidArgument } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import type { EngineAuth } from './engine';

/** CRI AuthConfig → `X-Registry-Auth`; undefined without credentials. `auth` is base64 of `user:password`. */
export function toEngineAuth(auth: Decoded<cri.IAuthConfig> | null): EngineAuth | undefined {
  if (auth === null) return undefined;
  const fromAuth = auth.auth === '' ? undefined : decodeBasic(auth.auth);
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

function decodeBasic(auth: string): { username: string; password: string } {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  // The value is a secret: the message must not repeat it.
  if (colon === -1) throw invalidArgument('auth.auth', 'is not base64 of user:password');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
