import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireLoadedProfile } from '../../../../src/server/container/apparmor-profile';
import { rejectionOf } from '../../support/errors';

describe('requireLoadedProfile', () => {
  const directory = mkdtempSync(join(tmpdir(), 'apparmor-'));
  const list = join(directory, 'profiles');
  writeFileSync(list, 'docker-default (enforce)\nmy profile (complain)\n/usr/bin/man (enforce)\n');
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each(['docker-default', 'my profile', '/usr/bin/man', 'unconfined', undefined])('%s is fine', (name) =>
    expect(requireLoadedProfile(name, 'c.apparmor', list)).resolves.toBeUndefined(),
  );

  it.each(['docker', 'docker-default (enforce)', 'man'])('"%s" is not loaded', async (name) => {
    expect(await rejectionOf(requireLoadedProfile(name, 'c.apparmor', list))).toBe(
      `FAILED_PRECONDITION c.apparmor: AppArmor profile "${name}" is not loaded on this node`,
    );
  });

  it('leaves it to the Engine where the list cannot be read', () =>
    expect(requireLoadedProfile('mine', 'c', join(directory, 'absent'))).resolves.toBeUndefined());
});
