import { runtimeConfig } from '../../../../src/server/runtime/runtime-config';
import type { Services } from '../../../../src/server/services';
import { version } from '../../../../src/server/runtime/version';
import { WritableStore } from '../../../../src/store/store';
import { thrownBy } from '../../support/errors';

/** An Engine that has been listed, and has not answered /info yet. */
function services(): Services {
  const store = new WritableStore();
  store.engineVersion = '20.10.24';
  return { store, link: { state: { ready: false, reason: 'no /info yet' } } } as unknown as Services;
}

it('RuntimeConfig waits for the facts, because kubelet asks once and would otherwise use its own configuration', () => {
  expect(thrownBy(() => runtimeConfig(services()))).toBe('UNAVAILABLE no /info yet');
});

it('Version does not wait for the facts', async () => {
  expect((await version(services())).runtime_version).toBe('20.10.24');
});
