import { invalidArgument, unsupported } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import { SupplementalGroupsPolicy } from '../proto/enums';
import { integer, oneOf, withoutNul } from './validate';

type SandboxContext = Decoded<cri.ILinuxSandboxSecurityContext>;
type ContainerContext = Decoded<cri.ILinuxContainerSecurityContext>;

const MAX_ID = 2 ** 32 - 2;

/** `User` of the Engine: `uid[:gid]`, a name, or undefined for the image's. */
export function toEngineUser(
  context: Pick<ContainerContext, 'run_as_user' | 'run_as_group'> & { readonly run_as_username?: string },
  field: string,
): string | undefined {
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
  const user =
    context.run_as_user === null ? username : String(id(context.run_as_user.value, `${field}.run_as_user`));
  return group === null ? user : `${user}:${id(group.value, `${field}.run_as_group`)}`;
}

export function toEngineGroups(context: SandboxContext | ContainerContext, field: string): string[] {
  const policies = [SupplementalGroupsPolicy.Merge, SupplementalGroupsPolicy.Strict];
  const policy = context.supplemental_groups_policy;
  oneOf(policy, policies, `${field}.supplemental_groups_policy`, 'Merge or Strict');
  if (policy === SupplementalGroupsPolicy.Strict) {
    throw unsupported(`${field}.supplemental_groups_policy`, 'Strict is not offered yet (Status says so)');
  }
  return context.supplemental_groups.map((group, index) =>
    String(id(group, `${field}.supplemental_groups[${index}]`)),
  );
}

function id(value: { toNumber(): number }, field: string): number {
  return integer(value, field, 0, MAX_ID);
}
