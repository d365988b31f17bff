import { checkDns, hostName } from '../../../../src/translate/sandbox/host-names';
import { thrownBy } from '../../support/errors';
import { decoded } from '../../support/wire';

const parts = (length: number): string => `${'a'.repeat(length - 32)}.${'b'.repeat(31)}`;

it.each(['', 'a', 'A-1', 'web-0.nginx.default', 'a_b', 'a'.repeat(63), parts(64)])(
  'a host name may be "%s"',
  (name) => {
    expect(hostName(name, 'f')).toBe(name);
  },
);

it.each([
  ['a b', /^INVALID_ARGUMENT f: "a b" is not a host name/],
  ['a\nb', /^INVALID_ARGUMENT f: "a\\nb" is not a host name/],
  ['-a', /not a host name/],
  ['a.', /not a host name/],
  ['ä', /not a host name/],
  ['a'.repeat(64), /a part of "a+" has more than 63/],
  [parts(65), /has 65 characters, at most 64/],
])('a host name may not be "%s"', (name, why) => {
  expect(thrownBy(() => hostName(name, 'f'))).toMatch(why);
});

const dns = (config: object): void => checkDns(decoded('DNSConfig', config), 'f');

it('DNS may be what a node has', () => {
  dns({
    servers: ['10.0.0.10', 'fd00::1', 'fe80::1%eth0'],
    searches: ['a.test', '.', '_x.a'],
    options: ['ndots:5', 'rotate'],
  });
});

it.each([
  [{ servers: ['nope'] }, /^INVALID_ARGUMENT f\.servers\[0\]: "nope" is not an IP address/],
  [{ servers: ['1.2.3'] }, /servers\[0\]/],
  [{ servers: ['10.0.0.1%'] }, /servers\[0\]/],
  [{ servers: ['10.0.0.1\noptions ndots:9'] }, /servers\[0\]/],
  [{ servers: ['10.0.0.1', ''] }, /servers\[1\]/],
  [{ searches: ['a b'] }, /^INVALID_ARGUMENT f\.searches\[0\]: "a b" is not a valid domain/],
  [{ searches: ['a\nnameserver 192.0.2.1'] }, /searches\[0\]/],
  [{ options: ['ndots:5', ''] }, /^INVALID_ARGUMENT f\.options\[1\]: "" is not a valid option/],
])('DNS may not be %j', (config, why) => {
  expect(thrownBy(() => dns(config))).toMatch(why);
});
