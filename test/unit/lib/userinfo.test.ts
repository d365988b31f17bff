import { replaceUserinfo } from '../../../src/lib/userinfo';

it.each([
  ['tcp://u:p@h:2376', 'tcp://***@h:2376'],
  ['tcp://u:p@ss@h:2376', 'tcp://***@h:2376'],
  ["tcp://u:pa'ss;,!@h", 'tcp://***@h'],
  ['http://u:p@a/x@y and http://v:q@b', 'http://***@a/x@y and http://***@b'],
  ['"http://a","b@c"', '"http://a","b@c"'],
  ['http://a b@c', 'http://a b@c'],
  ['unix:///run/a@b.sock', 'unix:///run/a@b.sock'],
  ['https://h/v2/a@sha256:1', 'https://h/v2/a@sha256:1'],
])('%j is shown as %j', (text, shown) => expect(replaceUserinfo(text, '***')).toBe(shown));

it('takes the place as it is', () => expect(replaceUserinfo('a://b@c', '$1')).toBe('a://$1@c'));
