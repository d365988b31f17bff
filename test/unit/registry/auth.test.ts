import { toEngineAuth } from '../../../src/registry/auth';
import { thrownBy } from '../support/errors';
import { decoded } from '../support/wire';

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('toEngineAuth', () => {
  it('returns nothing without credentials', () => {
    expect(toEngineAuth(null)).toBeUndefined();
    expect(toEngineAuth(decoded('AuthConfig', {}))).toBeUndefined();
  });

  it.each([
    {
      desc: 'user and password',
      auth: { username: 'u', password: 'p' },
      engine: { username: 'u', password: 'p' },
    },
    { desc: 'auth', auth: { auth: base64('u:p') }, engine: { username: 'u', password: 'p' } },
    {
      desc: 'auth with colons in the password',
      auth: { auth: base64('u:p:q:') },
      engine: { username: 'u', password: 'p:q:' },
    },
    {
      desc: 'auth with trailing NULs, which old docker logins left',
      auth: { auth: base64('u:p\0\0') },
      engine: { username: 'u', password: 'p' },
    },
    {
      desc: 'auth with an empty password',
      auth: { auth: base64('u:') },
      engine: { username: 'u', password: '' },
    },
    {
      desc: 'both, where the plain fields have priority',
      auth: { username: 'u', password: 'p', auth: base64('x:y') },
      engine: { username: 'u', password: 'p' },
    },
    {
      desc: 'a server',
      auth: { username: 'u', password: 'p', server_address: 's' },
      engine: { username: 'u', password: 'p', serveraddress: 's' },
    },
    { desc: 'an identity token', auth: { identity_token: 'i' }, engine: { identitytoken: 'i' } },
    { desc: 'a registry token', auth: { registry_token: 'r' }, engine: { registrytoken: 'r' } },
  ])('translates $desc', ({ auth, engine }) => {
    expect(toEngineAuth(decoded('AuthConfig', auth))).toEqual(engine);
  });

  it.each([base64('secret'), '%%%'])(
    'refuses auth that is not base64 of user:password, without repeating it: %s',
    (auth) => {
      const message = thrownBy(() => toEngineAuth(decoded('AuthConfig', { auth })));
      expect(message).toBe('INVALID_ARGUMENT auth.auth: is not base64 of user:password');
    },
  );
});
