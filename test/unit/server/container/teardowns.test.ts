import { Teardowns } from '../../../../src/server/container/teardowns';
import { Store } from '../../../../src/store/store';
import { gate, settle } from '../../support/async';

it.each([
  ['20.10.24', 4],
  ['20.10.27', 30],
  ['28.5.2', 30],
])('on %s %i sandboxes of thirty end at once', async (engineVersion, atOnce) => {
  const store = new Store();
  store.engineVersion = engineVersion;
  const teardowns = new Teardowns(store);
  const held = gate();
  let begun = 0;
  const all = Array.from({ length: 30 }, () =>
    teardowns.run(() => {
      begun++;
      return held.promise;
    }),
  );
  await settle();
  expect(begun).toBe(atOnce);
  held.resolve();
  await Promise.all(all);
  expect(begun).toBe(30);
});
