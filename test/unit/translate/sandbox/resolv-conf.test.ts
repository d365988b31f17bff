import { toResolvConf } from '../../../../src/translate/sandbox/resolv-conf';

describe('toResolvConf', () => {
  it('returns exactly the given settings', () => {
    expect(
      toResolvConf({ servers: ['1.1.1.1', 'fd00::1'], searches: ['a', 'b'], options: ['ndots:5'] }),
    ).toBe('search a b\nnameserver 1.1.1.1\nnameserver fd00::1\noptions ndots:5\n');
    expect(toResolvConf({ servers: [], searches: [], options: [] })).toBe('');
  });
});
