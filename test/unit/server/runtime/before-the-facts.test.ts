import { runtimeConfig } from '../../../../src/server/runtime/runtime-config';
import type { Services } from '../../../../src/server/services';
import { version } from '../../../../src/server/runtime/version';
import { WritableStore } from '../../../../src/store/store';
import { thrownBy } from '../../support/errors';

/** A node whose Engine has reported its version, but has not answered /info yet. */
function services(): Services {
  const store = new WritableStore();
  store.engineVersion = '20.10.24';
  return { store, link: { state: { ready: false, reason: 'no /info yet' } } } as unknown as Services;
}

it('RuntimeConfig fails before the facts are known, because kubelet keeps the first answer that it receives', () => {
  expect(thrownBy(() => runtimeConfig(services()))).toBe('UNAVAILABLE no /info yet');
});

it('Version answers before the facts are known', async () => {
  expect((await version(services())).runtime_version).toBe('20.10.24');
});
