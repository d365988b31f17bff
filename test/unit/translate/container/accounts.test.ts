import { parseAccounts } from '../../../../src/translate/container/accounts';

describe('parseAccounts', () => {
  it('reads users and groups, and leaves out what it does not understand', () => {
    const passwd = [
      'root:x:0:0:root:/root:/bin/sh',
      '# comment',
      '',
      ' app:x:1000:1001::/:',
      'bad:x:a:0::',
      ':x:1:1',
    ];
    const group = ['root:x:0:', 'wheel:x:10:root,app', 'odd:x:-1:root', 'empty:x:7:,', 'short:x'];
    expect(parseAccounts(passwd.join('\n'), group.join('\r\n'))).toEqual({
      users: [
        { name: 'root', uid: 0, gid: 0 },
        { name: 'app', uid: 1000, gid: 1001 },
      ],
      groups: [
        { name: 'root', gid: 0, members: [] },
        { name: 'wheel', gid: 10, members: ['root', 'app'] },
        { name: 'empty', gid: 7, members: [] },
      ],
    });
  });

  it('finds nobody in nothing', () => expect(parseAccounts('', '')).toEqual({ users: [], groups: [] }));
});
