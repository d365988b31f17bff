import { SecurityProfileType } from '../../../../src/proto/enums';
import { apparmorOption } from '../../../../src/translate/shared/apparmor';
import { codeAndField, thrownBy } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

const { RuntimeDefault, Unconfined, Localhost } = SecurityProfileType;

describe('apparmor', () => {
  type Profile = Parameters<typeof decoded<'SecurityProfile'>>[1] | null;
  const option = (profile: Profile, deprecated: string, enabled: boolean) =>
    apparmorOption(
      profile === null ? null : decoded('SecurityProfile', profile),
      deprecated,
      'c.apparmor',
      enabled,
    );

  it.each<{ desc: string; profile: Profile; deprecated: string; option: string[] }>([
    { desc: 'nil: the Engine’s default', profile: null, deprecated: '', option: [] },
    { desc: 'old: runtime/default', profile: null, deprecated: 'runtime/default', option: [] },
    { desc: 'old: unconfined', profile: null, deprecated: 'unconfined', option: ['apparmor=unconfined'] },
    { desc: 'old: localhost', profile: null, deprecated: 'localhost/mine', option: ['apparmor=mine'] },
    { desc: 'new: RuntimeDefault', profile: { profile_type: RuntimeDefault }, deprecated: '', option: [] },
    {
      desc: 'new: Unconfined',
      profile: { profile_type: Unconfined },
      deprecated: '',
      option: ['apparmor=unconfined'],
    },
    {
      desc: 'new: Localhost',
      profile: { profile_type: Localhost, localhost_ref: 'mine' },
      deprecated: '',
      option: ['apparmor=mine'],
    },
    {
      desc: 'new: Localhost with the old prefix',
      profile: { profile_type: Localhost, localhost_ref: 'localhost/mine' },
      deprecated: '',
      option: ['apparmor=mine'],
    },
    {
      desc: 'the new field wins',
      profile: { profile_type: RuntimeDefault },
      deprecated: 'localhost/other',
      option: [],
    },
  ])('$desc', ({ profile, deprecated, option: expected }) =>
    expect(option(profile, deprecated, true)).toEqual(expected),
  );

  it.each<{ desc: string; profile: Profile; deprecated: string; enabled: boolean; error: string }>([
    {
      desc: 'an unknown old form',
      profile: null,
      deprecated: 'mine',
      enabled: true,
      error: 'INVALID_ARGUMENT c.apparmor_profile',
    },
    {
      desc: 'Localhost without a name',
      profile: { profile_type: Localhost },
      deprecated: '',
      enabled: true,
      error: 'INVALID_ARGUMENT c.apparmor.localhost_ref',
    },
    {
      desc: 'an unknown type',
      profile: { profile_type: unknownEnum(3) },
      deprecated: '',
      enabled: true,
      error: 'INVALID_ARGUMENT c.apparmor.profile_type',
    },
    {
      desc: 'a profile where AppArmor is off',
      profile: { profile_type: Localhost, localhost_ref: 'mine' },
      deprecated: '',
      enabled: false,
      error: 'FAILED_PRECONDITION c.apparmor',
    },
  ])('refuses $desc', ({ profile, deprecated, enabled, error }) =>
    expect(codeAndField(() => option(profile, deprecated, enabled))).toBe(error),
  );

  it('unconfined where AppArmor is off needs no option', () => {
    expect(option({ profile_type: Unconfined }, '', false)).toEqual([]);
  });

  it('tells the missing profile by name', () => {
    expect(thrownBy(() => option(null, 'localhost/mine', false))).toContain('"mine"');
  });
});
