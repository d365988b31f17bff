import { SupplementalGroupsPolicy } from '../../../../src/proto/enums';
import { requestedUser, supplementalGroups, toSandboxUser } from '../../../../src/translate/shared/user';
import { codeAndField } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

type ContainerContext = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const container = (given: ContainerContext) => decoded('LinuxContainerSecurityContext', given);
const value = (number: number) => ({ value: number });

describe('requestedUser', () => {
  it.each<{ desc: string; given: ContainerContext; user: object | undefined }>([
    { desc: 'nothing: the image decides', given: {}, user: undefined },
    { desc: 'a uid', given: { run_as_user: value(1000) }, user: { user: '1000', group: undefined } },
    {
      desc: 'root, which is not nothing',
      given: { run_as_user: value(0) },
      user: { user: '0', group: undefined },
    },
    {
      desc: 'uid and gid',
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
  ])('$desc', ({ given, user }) => expect(requestedUser(container(given), 'c')).toEqual(user));

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
      desc: 'a name that smuggles a group in',
      given: { run_as_username: 'www:0' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'the kernel’s "no id"',
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
      desc: 'all',
      given: { run_as_user: value(1), run_as_group: value(2), supplemental_groups: [3] },
      user: '1:2',
      groups: ['3'],
    },
    { desc: 'a uid', given: { run_as_user: value(1) }, user: '1', groups: [] },
    {
      desc: 'a uid, Strict: with an explicit group',
      given: { run_as_user: value(1), supplemental_groups_policy: Strict },
      user: '1:0',
      groups: [],
    },
    { desc: 'Strict alone', given: { supplemental_groups_policy: Strict }, user: undefined, groups: [] },
  ])('$desc', ({ given, user, groups }) =>
    expect(toSandboxUser(decoded('LinuxSandboxSecurityContext', given), 'c')).toEqual({ user, groups }),
  );

  it('of no context', () => expect(toSandboxUser(null, 'c')).toEqual({ user: undefined, groups: [] }));
});

describe('supplementalGroups', () => {
  it('passes them on', () => {
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
