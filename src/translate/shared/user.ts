import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { SupplementalGroupsPolicy } from '../../proto/enums';
import { integer, oneOf, withoutNul } from './validate';

type SandboxContext = Decoded<cri.ILinuxSandboxSecurityContext>;
type ContainerContext = Decoded<cri.ILinuxContainerSecurityContext>;
type UserFields = Pick<ContainerContext, 'run_as_user' | 'run_as_group'> & {
  readonly run_as_username?: string;
};

/** Docker refuses higher ids, although the kernel has twice as many. */
const MAX_ID = 2 ** 31 - 1;

/** A uid or a name, and a gid. */
export interface RequestedUser {
  readonly user: string;
  readonly group: number | undefined;
}

/** @returns undefined if the image's user is to be used. */
export function requestedUser(context: UserFields, field: string): RequestedUser | undefined {
  const username = withoutNul(context.run_as_username ?? '', `${field}.run_as_username`);
  const group = context.run_as_group;
  if (username.includes(':')) throw invalidArgument(`${field}.run_as_username`, 'is a name without a group');
  if (context.run_as_user !== null && username !== '')
    throw invalidArgument(`${field}.run_as_username`, 'and run_as_user: the CRI allows only one of them');
  if (context.run_as_user === null && username === '') {
    // The CRI demands an error here: a group without a user would silently change the image's user.
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

/** @throws INVALID_ARGUMENT also for a policy that CRI does not know. */
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
 * User and groups of a pause process. It uses no files, so its image is not read. With Strict a uid gets group 0, as for a uid
 * that is not in /etc/passwd, because with an explicit group the Engine adds none of the image's groups.
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
