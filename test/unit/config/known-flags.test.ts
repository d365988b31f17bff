import { knownFlags } from '../../../src/config/known-flags';

it('flags that the option table knows are taken over', () => {
  const args = [
    '--cni-bin-dir',
    '/a,/b',
    '--ipv6-dual-stack',
    '--buildinfo',
    '--config=/c',
    '--cri-dockerd-root-directory=/x',
  ];
  expect(knownFlags(args)).toEqual({
    'cni-bin-dir': '/a,/b',
    config: '/c',
    'ipv6-dual-stack': 'true',
    'cri-dockerd-root-directory': '/x',
  });
});
