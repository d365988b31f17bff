import type { cri, Decoded } from '../../proto';
import { SecurityProfileType } from '../../proto/enums';
import { oneOf } from './validate';

const TYPES = [
  SecurityProfileType.RuntimeDefault,
  SecurityProfileType.Unconfined,
  SecurityProfileType.Localhost,
];

/** @throws INVALID_ARGUMENT for a type that CRI does not know. */
export function profileType(profile: Decoded<cri.ISecurityProfile>, field: string): SecurityProfileType {
  oneOf(profile.profile_type, TYPES, `${field}.profile_type`, 'RuntimeDefault, Unconfined or Localhost');
  return profile.profile_type;
}
