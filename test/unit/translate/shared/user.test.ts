import { SupplementalGroupsPolicy } from '../../../../src/proto/enums';
import {
  parseAccounts,
  requestedUser,
  supplementalGroups,
  toIdentity,
  toSandboxUser,
} from '../../../../src/translate/shared/user';
import { codeAndField } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

type ContainerContext = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const container = (given: ContainerContext) => decoded('LinuxContainerSecurityContext', given);
const value = (number: number) => ({ value: number });

describe('requestedUser', () => {
  it.each<{ desc: string; given: ContainerContext; user: object | undefined }>([
    { desc: 'no user, so that the image decides', given: {}, user: undefined },
    { desc: 'a uid', given: { run_as_user: value(1000) }, user: { user: '1000', group: undefined } },
    {
      desc: 'root, which is not the same as no user',
      given: { run_as_user: value(0) },
      user: { user: '0', group: undefined },
    },
    {
      desc: 'a uid and a gid',
      given: { run_as_user: value(1000), run_as_group: value(0) },
      user: { user: '1000', group: 0 },
    },
    { desc: 'a name', given: { run_as_username: 'www' }, user: { user: 'www', group: undefined } },
    {
      desc: 'a name and a gid',
      given: { run_as_username: 'www', run_as_group: value(5) },
      user: { user: 'www', group: 5 },
    },
    {
      desc: 'the largest id',
      given: { run_as_user: value(2 ** 31 - 1) },
      user: { user: '2147483647', group: undefined },
    },
  ])('reads $desc', ({ given, user }) => expect(requestedUser(container(given), 'c')).toEqual(user));

  it.each<{ desc: string; given: ContainerContext; error: string }>([
    {
      desc: 'a group without a user',
      given: { run_as_group: value(5) },
      error: 'INVALID_ARGUMENT c.run_as_group',
    },
    {
      desc: 'group 0 without a user',
      given: { run_as_group: value(0) },
      error: 'INVALID_ARGUMENT c.run_as_group',
    },
    { desc: 'a negative uid', given: { run_as_user: value(-1) }, error: 'INVALID_ARGUMENT c.run_as_user' },
    {
      desc: 'a uid and a name',
      given: { run_as_user: value(7), run_as_username: 'www' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'a name with a group in it',
      given: { run_as_username: 'www:0' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'a uid above the largest',
      given: { run_as_user: value(2 ** 31) },
      error: 'INVALID_ARGUMENT c.run_as_user',
    },
    {
      desc: 'a negative gid',
      given: { run_as_user: value(1), run_as_group: value(-1) },
      error: 'INVALID_ARGUMENT c.run_as_group',
    },
  ])('refuses $desc', ({ given, error }) =>
    expect(codeAndField(() => requestedUser(container(given), 'c'))).toBe(error),
  );
});

describe('toSandboxUser', () => {
  type Sandbox = Parameters<typeof decoded<'LinuxSandboxSecurityContext'>>[1];
  const Strict = SupplementalGroupsPolicy.Strict;

  it.each<{ desc: string; given: Sandbox; user: string | undefined; groups: string[] }>([
    { desc: 'nothing', given: {}, user: undefined, groups: [] },
    {
      desc: 'all fields',
      given: { run_as_user: value(1), run_as_group: value(2), supplemental_groups: [3] },
      user: '1:2',
      groups: ['3'],
    },
    { desc: 'a uid', given: { run_as_user: value(1) }, user: '1', groups: [] },
    {
      desc: 'a uid and Strict, which adds the explicit group 0',
      given: { run_as_user: value(1), supplemental_groups_policy: Strict },
      user: '1:0',
      groups: [],
    },
    { desc: 'only Strict', given: { supplemental_groups_policy: Strict }, user: undefined, groups: [] },
  ])('translates $desc', ({ given, user, groups }) =>
    expect(toSandboxUser(decoded('LinuxSandboxSecurityContext', given), 'c')).toEqual({ user, groups }),
  );

  it('returns nothing without a context', () =>
    expect(toSandboxUser(null, 'c')).toEqual({ user: undefined, groups: [] }));
});

describe('supplementalGroups', () => {
  it('passes the groups on', () => {
    expect(supplementalGroups(container({ supplemental_groups: [0, 5, 2000] }), 'c')).toEqual([0, 5, 2000]);
  });

  it.each<{ desc: string; given: ContainerContext; error: string }>([
    {
      desc: 'a negative id',
      given: { supplemental_groups: [1, -1] },
      error: 'INVALID_ARGUMENT c.supplemental_groups[1]',
    },
    {
      desc: 'an unknown policy',
      given: { supplemental_groups_policy: unknownEnum(9) },
      error: 'INVALID_ARGUMENT c.supplemental_groups_policy',
    },
  ])('refuses $desc', ({ given, error }) =>
    expect(codeAndField(() => supplementalGroups(container(given), 'c'))).toBe(error),
  );
});

describe('parseAccounts', () => {
  it('reads users and groups, and skips invalid lines', () => {
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

  it('finds nobody in an empty file', () => expect(parseAccounts('', '')).toEqual({ users: [], groups: [] }));
});

type Given = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
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
    { desc: 'no settings, which means root with its groups', given: null, is: [0, 0, [0, 10, 50000]] },
    { desc: 'an empty context', given: {}, is: [0, 0, [0, 10, 50000]] },
    { desc: 'the image’s user', given: {}, image: 'app', is: [1000, 1001, [1001, 50000]] },
    { desc: 'the image’s uid', given: {}, image: '1000', is: [1000, 1001, [1001, 50000]] },
    { desc: 'the image’s group, by name', given: {}, image: 'app:wheel', is: [1000, 10, [10, 50000]] },
    { desc: 'the image’s group, by number', given: {}, image: 'app:77', is: [1000, 77, [77, 50000]] },
    { desc: 'a uid of the image', given: { run_as_user: value(1000) }, is: [1000, 1001, [1001, 50000]] },
    {
      desc: 'a uid in place of the image’s user, whose group does not apply',
      given: { run_as_user: value(1000) },
      image: 'root:wheel',
      is: [1000, 1001, [1001, 50000]],
    },
    { desc: 'an unknown uid', given: { run_as_user: value(5) }, is: [5, 0, [0]] },
    { desc: 'a name', given: { run_as_username: 'app' }, is: [1000, 1001, [1001, 50000]] },
    { desc: 'a name that consists of digits', given: { run_as_username: '2000' }, is: [7, 8, [8]] },
    {
      desc: 'Merge with a group, which adds the image’s groups',
      given: { run_as_user: value(1000), run_as_group: value(5), supplemental_groups: [3000, 10] },
      is: [1000, 5, [5, 10, 3000, 50000]],
    },
    {
      desc: 'Strict, with the primary group and the given ones only',
      given: { run_as_user: value(1000), supplemental_groups: [1234], ...strict },
      is: [1000, 1001, [1001, 1234]],
    },
    { desc: 'Strict with the image’s user', given: strict, image: 'root', is: [0, 0, [0]] },
  ])('computes the identity for $desc', ({ given, image, is: [uid, gid, groups] }) =>
    expect(identity(given, image)).toEqual({ uid, gid, groups }),
  );

  it.each<{ desc: string; given: Given; image?: string; error: string }>([
    {
      desc: 'a name that the image does not have',
      given: { run_as_username: 'who' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'an image whose own user is not in its accounts',
      given: {},
      image: 'who',
      error: 'FAILED_PRECONDITION there is no user "who" in the image\'s /etc/passwd',
    },
    {
      desc: 'an image whose own group is not in its accounts',
      given: {},
      image: 'root:who',
      error: 'FAILED_PRECONDITION there is no group "who" in the image\'s /etc/group',
    },
  ])('refuses $desc', ({ given, image, error }) =>
    expect(codeAndField(() => identity(given, image))).toBe(error),
  );
});
