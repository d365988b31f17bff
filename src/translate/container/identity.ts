import { failedPrecondition, invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { SupplementalGroupsPolicy } from '../../proto/enums';
import type { UserRecord } from '../../store/records';
import { requestedUser, supplementalGroups } from '../shared/user';

/** The users and groups of an image's /etc/passwd and /etc/group. */
export interface Accounts {
  readonly users: readonly { readonly name: string; readonly uid: number; readonly gid: number }[];
  readonly groups: readonly {
    readonly name: string;
    readonly gid: number;
    readonly members: readonly string[];
  }[];
}

/** Skips lines that are not understood, as the Engine does. */
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

type Context = Decoded<cri.ILinuxContainerSecurityContext>;

/** The user of an image's processes, unless the request names another. */
export interface ImageIdentity {
  /** `Config.User` of the image: `user[:group]`, '' for root. */
  readonly user: string;
  readonly accounts: Accounts;
}

/**
 * The identity of a container's first process, all of it in numbers: the Engine, given `uid:gid`, adds no groups of its
 * own, so both of CRI's policies for the image's groups can be had (Merge adds them, Strict does not).
 * @throws INVALID_ARGUMENT or FAILED_PRECONDITION for a name that is not in the image's accounts.
 */
export function toIdentity(context: Context | null, image: ImageIdentity, field: string): UserRecord {
  const asked = context === null ? undefined : requestedUser(context, field);
  const [imageUser = '', imageGroup = ''] = image.user.split(':', 2);
  const { users, groups } = image.accounts;
  const name = asked?.user ?? (imageUser === '' ? '0' : imageUser);
  const known = users.find((user) => user.name === name || (isId(name) && user.uid === Number(name)));
  if (known === undefined && !isId(name)) {
    const why = `there is no user ${JSON.stringify(name)} in the image's /etc/passwd`;
    throw asked === undefined ? failedPrecondition(why) : invalidArgument(`${field}.run_as_username`, why);
  }
  // The image's group belongs to the image's user.
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
    // In the kernel's order; the Engine adds the primary group.
    groups: [...new Set([gid, ...given, ...merged])].sort((a, b) => a - b),
  };
}

function groupId(group: string, groups: Accounts['groups']): number {
  const known = groups.find(({ name, gid }) => name === group || (isId(group) && gid === Number(group)));
  if (known !== undefined) return known.gid;
  if (isId(group)) return Number(group);
  throw failedPrecondition(`there is no group ${JSON.stringify(group)} in the image's /etc/group`);
}
