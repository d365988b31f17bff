import { nearest } from '../../../src/lib/nearest';

const KNOWN = ['log-level', 'cni-bin-dir', 'cni-conf-dir', 'observe', 'state-dir', 'run-dir'];

it.each([
  ['log-levle', 'log-level'],
  ['loglevel', 'log-level'],
  ['LOG_LEVEL', 'log-level'],
  ['logLevel', 'log-level'],
  ['cni-bin-dirs', 'cni-bin-dir'],
  ['cni-config-dir', 'cni-conf-dir'],
  ['observ', 'observe'],
  ['run-dri', 'run-dir'],
  ['lgo-lveel', 'log-level'],
  ['colour', undefined],
  ['', undefined],
  ['x'.repeat(1_000), undefined],
])('for %p, nearest returns %p', (word, meant) => expect(nearest(word, KNOWN)).toBe(meant));
