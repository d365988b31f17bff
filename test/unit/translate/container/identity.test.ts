import { SupplementalGroupsPolicy } from '../../../../src/proto/enums';
import { parseAccounts, toIdentity } from '../../../../src/translate/container/identity';
import { codeAndField } from '../../support/errors';
import { decoded } from '../../support/wire';

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

type Given = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const value = (number: number) => ({ value: number });
const strict = { supplemental_groups_policy: SupplementalGroupsPolicy.Strict };

const ACCOUNTS = parseAccounts(
  'root:x:0:0:::\napp:x:1000:1001:::\n2000:x:7:8:::\n',
  'root:x:0:\nwheel:x:10:root\nextra:x:50000:app,root\napps:x:1001:\n',
);

function identity(given: Given | null, user = ''): object {
  const context = given === null ? null : decoded('LinuxContainerSecurityContext', given);
  return toIdentity(context, { user, accounts: ACCOUNTS }, 'c');
}

describe('toIdentity', () => {
  it.each<{ desc: string; given: Given | null; image?: string; is: [number, number, number[]] }>([
    { desc: 'nothing said at all: root, with its groups', given: null, is: [0, 0, [0, 10, 50000]] },
    { desc: 'an empty context', given: {}, is: [0, 0, [0, 10, 50000]] },
    { desc: 'the image’s user', given: {}, image: 'app', is: [1000, 1001, [1001, 50000]] },
    { desc: 'the image’s uid', given: {}, image: '1000', is: [1000, 1001, [1001, 50000]] },
    { desc: 'the image’s group, by name', given: {}, image: 'app:wheel', is: [1000, 10, [10, 50000]] },
    { desc: 'the image’s group, by number', given: {}, image: 'app:77', is: [1000, 77, [77, 50000]] },
    { desc: 'a uid of the image', given: { run_as_user: value(1000) }, is: [1000, 1001, [1001, 50000]] },
    {
      desc: 'a uid in place of the image’s user, whose group does not stay',
      given: { run_as_user: value(1000) },
      image: 'root:wheel',
      is: [1000, 1001, [1001, 50000]],
    },
    { desc: 'a uid that nobody knows', given: { run_as_user: value(5) }, is: [5, 0, [0]] },
    { desc: 'a name', given: { run_as_username: 'app' }, is: [1000, 1001, [1001, 50000]] },
    { desc: 'a name made of digits', given: { run_as_username: '2000' }, is: [7, 8, [8]] },
    {
      desc: 'Merge with a group: the image’s groups too',
      given: { run_as_user: value(1000), run_as_group: value(5), supplemental_groups: [3000, 10] },
      is: [1000, 5, [5, 10, 3000, 50000]],
    },
    {
      desc: 'Strict: the primary group and what is given',
      given: { run_as_user: value(1000), supplemental_groups: [1234], ...strict },
      is: [1000, 1001, [1001, 1234]],
    },
    { desc: 'Strict with the image’s user', given: strict, image: 'root', is: [0, 0, [0]] },
  ])('$desc', ({ given, image, is: [uid, gid, groups] }) =>
    expect(identity(given, image)).toEqual({ uid, gid, groups }),
  );

  it.each<{ desc: string; given: Given; image?: string; error: string }>([
    {
      desc: 'a name that the image does not know',
      given: { run_as_username: 'who' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'an image whose user it does not know itself',
      given: {},
      image: 'who',
      error: 'FAILED_PRECONDITION there is no user "who" in the image\'s /etc/passwd',
    },
    {
      desc: 'an image whose group it does not know itself',
      given: {},
      image: 'root:who',
      error: 'FAILED_PRECONDITION there is no group "who" in the image\'s /etc/group',
    },
  ])('refuses $desc', ({ given, image, error }) =>
    expect(codeAndField(() => identity(given, image))).toBe(error),
  );
});
