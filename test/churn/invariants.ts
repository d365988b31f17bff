import { setTimeout as delay } from 'node:timers/promises';
import type { Ledger } from './ledger';
import { filesAreWrong, networkIsWrong } from './node-truth';
import { daemonIsWrong, processesAreWrong } from './process-truth';
import { containersAreWrong, eventsAreWrong, statusIsWrong, storeIsWrong } from './store-truth';
import type { EventsWatch } from './watchers';
import type { World } from './world';

/** The time within which all invariants must hold (ms). The cleanup after a removal outside CRI may take this long. */
const SETTLED_WITHIN_MS = 240_000;

/**
 * Repeats the checks until all invariants hold, because work in the background may not be done yet. An
 * invariant that does not hold at the time limit is a violation. Files, links and rules can only be polled.
 */
export async function expectInvariants(
  world: World,
  ledger: Ledger,
  events: EventsWatch,
  when: string,
): Promise<void> {
  const begun = Date.now();
  for (;;) {
    const wrong = await whatIsWrong(world, ledger, events).catch((error: unknown) => [
      `the check failed: ${String(error)}`,
    ]);
    if (wrong.length === 0) {
      world.tell(`all is well ${when}, after ${Date.now() - begun} ms`);
      return;
    }
    if (Date.now() > begun + SETTLED_WITHIN_MS) {
      for (const what of wrong.slice(0, 20)) world.violate(`${when}: ${what}`);
      return;
    }
    await delay(500);
  }
}

async function whatIsWrong(world: World, ledger: Ledger, events: EventsWatch): Promise<string[]> {
  return [
    ...(await statusIsWrong(world)),
    ...(await storeIsWrong(world, ledger)),
    ...(await containersAreWrong(world, ledger)),
    ...(await eventsAreWrong(world, events)),
    ...(await networkIsWrong(world, ledger)),
    ...(await filesAreWrong(world, ledger)),
    ...(await processesAreWrong(world)),
    ...(await daemonIsWrong(world, ledger)),
  ];
}

/** Removes, through CRI, everything that belongs to no live pod, as kubelet's garbage collection does. */
export async function collectGarbage({ client }: World, ledger: Ledger): Promise<void> {
  const { items } = await client.call('ListPodSandbox', {});
  for (const { id } of items) {
    if (ledger.live.has(id)) continue;
    await client.call('StopPodSandbox', { pod_sandbox_id: id });
    await client.call('RemovePodSandbox', { pod_sandbox_id: id });
    ledger.noteRemoved(id);
  }
  const { containers } = await client.call('ListContainers', {});
  const live = ledger.liveContainers;
  for (const { id } of containers) {
    if (live.has(id)) continue;
    await client.call('RemoveContainer', { container_id: id });
    ledger.noteRemoved(id);
  }
}
