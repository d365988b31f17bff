import { failedPrecondition, invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { SecurityProfileType } from '../../proto/enums';
import { profileType } from './security-profile';
import { nonEmpty } from './validate';

type Profile = Decoded<cri.ISecurityProfile>;

/** @param enabled whether the Engine enforces AppArmor (`SecurityOptions` of /info). */
export function apparmorOption(
  profile: Profile | null,
  deprecatedName: string,
  field: string,
  enabled: boolean,
): string[] {
  const name = apparmorProfile(profile, deprecatedName, field);
  if (name === undefined) return [];
  if (!enabled && name !== 'unconfined') {
    throw failedPrecondition(
      `${field}: profile "${name}" is asked for, but AppArmor is not enabled on this node`,
    );
  }
  return enabled ? [`apparmor=${name}`] : [];
}

/** The name of the profile that is asked for; undefined is the runtime's default. The new field wins. */
export function apparmorProfile(
  profile: Profile | null,
  deprecatedName: string,
  field: string,
): string | undefined {
  if (profile !== null) {
    const type = profileType(profile, field);
    if (type === SecurityProfileType.RuntimeDefault) return undefined;
    if (type === SecurityProfileType.Unconfined) return 'unconfined';
    return nonEmpty(profile.localhost_ref, `${field}.localhost_ref`).replace(/^localhost\//, '');
  }
  if (deprecatedName === '' || deprecatedName === 'runtime/default') return undefined;
  if (deprecatedName === 'unconfined') return 'unconfined';
  if (deprecatedName.startsWith('localhost/')) return deprecatedName.slice('localhost/'.length);
  throw invalidArgument(
    `${field}_profile`,
    `${JSON.stringify(deprecatedName)} is neither runtime/default, unconfined nor localhost/NAME`,
  );
}
