import { flagOf, flagsOf } from '../../../src/lib/flags';
import { isSameSocket } from '../../../src/node/disk/socket-file';

it.each([
  [['--network-plugin', 'cni'], 'cni'],
  [['--network-plugin=cni', '--network-plugin=no-op'], 'no-op'],
  [['--network-plugin='], ''],
  [['--network-plugin', '--other'], ''],
  [['--network-plugins=x'], undefined],
])('flagOf reads the arguments %j and returns %j for --network-plugin', (args, value) =>
  expect(flagOf(args, 'network-plugin')).toBe(value),
);

it('flagsOf returns all values of a flag', () =>
  expect(flagsOf(['-H', 'unix:///a', '--x', '-H=tcp://b:1'], 'H')).toEqual(['unix:///a', 'tcp://b:1']));

it.each([
  ['unix:///run/a.sock', '/var/run/a.sock', true],
  ['unix:///var/run/a.sock', 'unix:///run/a.sock', true],
  ['unix:///run/a.sock', 'unix:///run/b.sock', false],
])('%s and %s are one socket: %s', (one, other, is) => expect(isSameSocket(one, other)).toBe(is));
