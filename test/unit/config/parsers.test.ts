import * as parsers from '../../../src/config/parsers';
import { thrownBy } from '../support/errors';

type Row = [given: string, value: unknown];

const TABLES: Record<string, { parse: parsers.Parse<unknown>; good: Row[]; bad: string[] }> = {
  text: {
    parse: parsers.text,
    good: [
      ['', ''],
      [' a ', ' a '],
    ],
    bad: [],
  },
  anyBindAddress: {
    parse: parsers.anyBindAddress,
    good: [
      ['', undefined],
      [':9300', { host: '127.0.0.1', port: 9300 }],
      ['10.0.0.5:9300', { host: '10.0.0.5', port: 9300 }],
      ['[::1]:9300', { host: '::1', port: 9300 }],
    ],
    // There is no default port.
    bad: ['10.0.0.5', 'off', 'unix:///run/m.sock', '9300', ':70000'],
  },
  localAddress: {
    parse: parsers.localAddress,
    good: [
      ['off', 'off'],
      ['run-dir', 'run-dir'],
      ['unix:///run/m.sock', { path: '/run/m.sock' }],
      [':9300', { host: '127.0.0.1', port: 9300 }],
      ['[::1]:9300', { host: '::1', port: 9300 }],
    ],
    bad: ['', 'unix://', 'unix://m.sock', 'unix:///run/', '/run/m.sock', 'localhost', '127.0.0.1:70000'],
  },
  streamingAddress: {
    parse: parsers.streamingAddress,
    good: [
      ['', { host: '127.0.0.1', port: 0 }],
      ['10.0.0.5', { host: '10.0.0.5', port: 0 }],
      ['node-1.local', { host: 'node-1.local', port: 0 }],
      ['::1', { host: '::1', port: 0 }],
      ['[::1]', { host: '::1', port: 0 }],
      ['10.0.0.5:10010', { host: '10.0.0.5', port: 10010 }],
      ['[::1]:10010', { host: '::1', port: 10010 }],
      [':10010', { host: '127.0.0.1', port: 10010 }],
    ],
    bad: ['10010', '10.0.0.5:', '10.0.0.5:70000', 'tcp://10.0.0.5', '10.0.0.5/24', '[10.0.0.5', 'a b'],
  },
  flag: {
    parse: parsers.flag,
    good: [
      ...['true', 'True', 'TRUE', 't', 'T', '1'].map((word): Row => [word, true]),
      ...['false', 'False', 'FALSE', 'f', 'F', '0'].map((word): Row => [word, false]),
    ],
    bad: ['', 'yes', 'tRUE', 'on', '2', ' true'],
  },
  integerIn: {
    parse: parsers.integerIn(1, 100),
    good: [
      ['1', 1],
      ['100', 100],
      ['007', 7],
    ],
    bad: ['', '0', '101', '-1', '1.5', '1e1', ' 1', '0x10', 'x'],
  },
  list: {
    parse: parsers.list,
    good: [
      ['/a', ['/a']],
      ['/a,/b', ['/a', '/b']],
    ],
    bad: [],
  },
  oneOf: {
    parse: parsers.oneOf('cri', 'link'),
    good: [
      ['cri', 'cri'],
      ['link', 'link'],
    ],
    bad: ['', 'Cri', 'toString'],
  },
  size: {
    parse: parsers.size,
    good: [
      ['1', '1'],
      ['16m', '16m'],
      ['512k', '512k'],
      ['2g', '2g'],
    ],
    bad: ['', '0', '0m', '16M', '16mb', '-1', '1.5m', 'm'],
  },
  logLevel: {
    parse: parsers.logLevel,
    good: [
      ['error', 'error'],
      ['warn', 'warn'],
      ['info', 'info'],
      ['debug', 'debug'],
      ['trace', 'trace'],
      ['warning', 'warn'],
      ['fatal', 'error'],
      ['panic', 'error'],
    ],
    bad: ['', 'INFO', 'verbose', 'constructor', 'toString'],
  },
  duration: {
    parse: parsers.duration,
    good: [
      ['0', 0],
      ['0s', 0],
      ['250ms', 250],
      ['1m59s', 119_000],
      ['1.5s', 1500],
      ['2h45m0.5s', 9_900_500],
      ['1m', 60_000],
    ],
    bad: ['', '5', '-1s', '1d', '1m 5s', 's', '1s2', '1.s', '1S', '1us'],
  },
};

describe.each(Object.entries(TABLES))('%s', (_, { parse, good, bad }) => {
  it.each(good)('parses %p as %p', (given, value) => expect(parse(given, '--x')).toEqual(value));

  if (bad.length > 0) {
    it.each(bad)('refuses %p with an error that names the value and its source', (given) => {
      const message = thrownBy(() => parse(given, 'DOCKBRIDGE_X'));
      expect(message).toMatch(/^INVALID_ARGUMENT DOCKBRIDGE_X: "/);
      expect(message).toContain(`"${given}"`);
    });
  }
});
