import { failedPrecondition, invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { SupplementalGroupsPolicy } from '../../proto/enums';
import type { UserRecord } from '../../store/records';
import { integer, oneOf, withoutNul } from './validate';

type SandboxContext = Decoded<cri.ILinuxSandboxSecurityContext>;
type ContainerContext = Decoded<cri.ILinuxContainerSecurityContext>;
type UserFields = Pick<ContainerContext, 'run_as_user' | 'run_as_group'> & {
  readonly run_as_username?: string;
};

/** Docker refuses higher ids, although the kernel allows twice as many. */
const MAX_ID = 2 ** 31 - 1;

/** A uid or a name, with an optional gid. */
export interface RequestedUser {
  readonly user: string;
  readonly group: number | undefined;
}

/** @returns undefined if the request names no user, so that the image's user is used. */
export function requestedUser(context: UserFields, field: string): RequestedUser | undefined {
  const username = withoutNul(context.run_as_username ?? '', `${field}.run_as_username`);
  const group = context.run_as_group;
  if (username.includes(':'))
    throw invalidArgument(`${field}.run_as_username`, 'must be a name without a group');
  if (context.run_as_user !== null && username !== '')
    throw invalidArgument(
      `${field}.run_as_username`,
      'cannot be combined with run_as_user: CRI allows only one of them',
    );
  if (context.run_as_user === null && username === '') {
    // CRI requires an error here, because a group without a user would silently change the group of the image's user.
    if (group !== null)
      throw invalidArgument(`${field}.run_as_group`, 'needs run_as_user or run_as_username');
    return undefined;
  }
  return {
    user:
      context.run_as_user === null ? username : String(id(context.run_as_user.value, `${field}.run_as_user`)),
    group: group === null ? undefined : id(group.value, `${field}.run_as_group`),
  };
}

/**
 * Returns the requested supplemental groups.
 * @throws INVALID_ARGUMENT, also for a policy that CRI does not define.
 */
export function supplementalGroups(context: SandboxContext | ContainerContext, field: string): number[] {
  const policies = [SupplementalGroupsPolicy.Merge, SupplementalGroupsPolicy.Strict];
  oneOf(
    context.supplemental_groups_policy,
    policies,
    `${field}.supplemental_groups_policy`,
    'Merge or Strict',
  );
  return context.supplemental_groups.map((group, index) =>
    id(group, `${field}.supplemental_groups[${index}]`),
  );
}

/**
 * Returns the user and groups of a pause process. The process uses no files, so the accounts of its image are not read.
 * With the policy Strict, a uid without a group gets group 0, like a uid that is not in /etc/passwd, because with an
 * explicit group the Engine adds none of the image's groups.
 */
export function toSandboxUser(
  context: SandboxContext | null,
  field: string,
): { readonly user: string | undefined; readonly groups: string[] } {
  if (context === null) return { user: undefined, groups: [] };
  const groups = supplementalGroups(context, field).map(String);
  const asked = requestedUser(context, field);
  if (asked === undefined) return { user: undefined, groups };
  const strict = context.supplemental_groups_policy === SupplementalGroupsPolicy.Strict;
  const group = asked.group ?? (strict ? 0 : undefined);
  return { user: group === undefined ? asked.user : `${asked.user}:${group}`, groups };
}

function id(value: { toNumber(): number }, field: string): number {
  return integer(value, field, 0, MAX_ID);
}

/** The users and groups of an image's /etc/passwd and /etc/group. */
export interface Accounts {
  readonly users: readonly { readonly name: string; readonly uid: number; readonly gid: number }[];
  readonly groups: readonly {
    readonly name: string;
    readonly gid: number;
    readonly members: readonly string[];
  }[];
}

/** Parses both files. Lines that cannot be parsed are skipped, as in the Engine. */
export function parseAccounts(passwd: string, group: string): Accounts {
  return {
    users: fieldsOf(passwd).flatMap(([name = '', , uid = '', gid = '']) =>
      name !== '' && isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : [],
    ),
    groups: fieldsOf(group).flatMap(([name = '', , gid = '', members = '']) =>
      name !== '' && isId(gid)
        ? [{ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }]
        : [],
    ),
  };
}

function fieldsOf(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(':'));
}

export function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

/** The user of an image's processes, unless the request names another user. */
export interface ImageIdentity {
  /** `Config.User` of the image: `user[:group]`, or '' for root. */
  readonly user: string;
  readonly accounts: Accounts;
}

/**
 * Returns the identity of a container's first process in numbers. If the Engine gets `uid:gid`, it adds no groups of its
 * own. This makes both of CRI's policies possible: with Merge, the image's groups are added here, and with Strict they
 * are not.
 * @throws INVALID_ARGUMENT or FAILED_PRECONDITION for a name that the image's accounts lack.
 */
export function toIdentity(
  context: ContainerContext | null,
  image: ImageIdentity,
  field: string,
): UserRecord {
  const asked = context === null ? undefined : requestedUser(context, field);
  const [imageUser = '', imageGroup = ''] = image.user.split(':', 2);
  const { users, groups } = image.accounts;
  const name = asked?.user ?? (imageUser === '' ? '0' : imageUser);
  const known = users.find((user) => user.name === name || (isId(name) && user.uid === Number(name)));
  if (known === undefined && !isId(name)) {
    const why = `there is no user ${JSON.stringify(name)} in the image's /etc/passwd`;
    throw asked === undefined ? failedPrecondition(why) : invalidArgument(`${field}.run_as_username`, why);
  }
  // The image's group counts only together with the image's user.
  const imageGid = asked === undefined && imageGroup !== '' ? groupId(imageGroup, groups) : undefined;
  const merged =
    context?.supplemental_groups_policy !== SupplementalGroupsPolicy.Strict && known !== undefined
      ? groups.filter(({ members }) => members.includes(known.name)).map(({ gid }) => gid)
      : [];
  const gid = asked?.group ?? imageGid ?? known?.gid ?? 0;
  const given = context === null ? [] : supplementalGroups(context, field);
  return {
    uid: known?.uid ?? Number(name),
    gid,
    // The groups are in the kernel's order. The Engine adds the primary group.
    groups: [...new Set([gid, ...given, ...merged])].sort((a, b) => a - b),
  };
}

function groupId(group: string, groups: Accounts['groups']): number {
  const known = groups.find(({ name, gid }) => name === group || (isId(group) && gid === Number(group)));
  if (known !== undefined) return known.gid;
  if (isId(group)) return Number(group);
  throw failedPrecondition(`there is no group ${JSON.stringify(group)} in the image's /etc/group`);
}
