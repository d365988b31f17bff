import { setTimeout as delay } from 'node:timers/promises';
import { print } from '../bench/measure';
import { collectGarbage, expectInvariants } from './invariants';
import { PodLife } from './kubelet';
import { Ledger } from './ledger';
import { planLife } from './plan';
import { Random } from './random';
import { EventsWatch, ListWatch } from './watchers';
import { World } from './world';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const LIVES = Number(process.env.LIVES ?? 40);
const WORKERS = 8;
/** The number of lives between two checks of all invariants. */
const ROUND = 30;
/** The minimum numbers in 300 lives. */
const PER_300 = { daemonKills: 20, daemonStops: 4, engineKills: 5, engineStops: 2, faults: 400 };
/** The chance of a fault for each Engine call. It yields more faults than PER_300 requires. */
const FAULT_CHANCE = 0.07;
/** The time limit of the run: many times what a quiet machine needs. */
const LONGEST_MS = 600_000 + LIVES * 60_000;

const share = (of300: number): number => Math.max(1, Math.round((of300 * LIVES) / 300));

interface Blow {
  /** After this many lives have begun. */
  readonly after: number;
  readonly pauseMs: number;
  readonly strike: (world: World) => Promise<void>;
}

function planBlows(random: Random): Blow[] {
  const strikes = [
    ...Array.from({ length: share(PER_300.daemonKills) }, () => (world: World) => world.killDaemon()),
    ...Array.from({ length: share(PER_300.daemonStops) }, () => (world: World) => world.stopDaemon()),
    ...Array.from({ length: share(PER_300.engineKills) }, () => (world: World) => world.killEngine()),
    ...Array.from({ length: share(PER_300.engineStops) }, () => (world: World) => world.stopEngine()),
  ];
  return strikes
    .map((strike) => ({ after: random.below(LIVES), pauseMs: random.below(4_000), strike }))
    .sort((one, other) => one.after - other.after);
}

function percentile(values: readonly number[], share_: number): string {
  const sorted = [...values].sort((one, other) => one - other);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share_))] ?? NaN).toFixed(1);
}

/** Runs the lives `numbers`, some at a time. The last pods stay for the check of all invariants. */
async function liveRound(
  world: World,
  ledger: Ledger,
  numbers: readonly number[],
  random: Random,
  onBegin: () => void,
): Promise<PodLife[]> {
  const waiting = [...numbers];
  const kept: PodLife[] = [];
  const work = async (): Promise<void> => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      const life = new PodLife(world, ledger, planLife(number, random.fork(`life ${number}`)));
      onBegin();
      await life.grow();
      if (waiting.length === 0) kept.push(life);
      else await life.end();
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  return kept;
}

it(
  `${LIVES} lives of pods keep all invariants under kills and faults (SEED=${SEED})`,
  async () => {
    const random = new Random(SEED);
    // Both kinds of node are tested: one where containers outlive dockerd, and one where they end with it.
    const world = await World.create(random.chance(0.5) ? ['--live-restore'] : []);
    const ledger = new Ledger();
    const begun = Date.now();
    const lists = new ListWatch(world);
    const events = new EventsWatch(world);
    try {
      const blows = planBlows(random.fork('blows'));
      let lives = 0;
      let struck: Promise<void> = Promise.resolve();
      const strikeWhenDue = (): void => {
        lives++;
        for (let blow = blows[0]; blow !== undefined && blow.after < lives; blow = blows[0]) {
          blows.shift();
          const { pauseMs, strike } = blow;
          struck = struck.then(async () => {
            await delay(pauseMs);
            await strike(world);
          });
        }
      };
      for (let first = 0; first < LIVES && world.violations.length === 0; first += ROUND) {
        const numbers = Array.from({ length: Math.min(ROUND, LIVES - first) }, (_, at) => first + at);
        world.makeTrouble(random.fork(`faults ${first}`), FAULT_CHANCE);
        const kept = await liveRound(world, ledger, numbers, random, strikeWhenDue);
        await struck;
        world.proxy.heal();
        await Promise.all(kept.map((life) => life.mend()));
        await expectCollected(world, ledger);
        await expectInvariants(world, ledger, events, `after ${first + numbers.length} lives`);
        print(
          `churn: ${first + numbers.length} lives, ${world.spent} faults, ${Math.round((Date.now() - begun) / 1000)} s`,
        );
        await Promise.all(kept.map((life) => life.end()));
      }
      await expectInvariants(world, ledger, events, 'at the end');
      // A run that ended early has not reached the minimum numbers.
      if (world.violations.length === 0) expectTried(world);
    } catch (error) {
      world.violate(`${String(error)}\n${world.daemon.lastWords()}`);
    } finally {
      await lists.stop();
      await events.stop();
      await world.destroy().catch((error: unknown) => world.violate(String(error)));
    }
    report(world, ledger, lists, events, Date.now() - begun);
    if (world.violations.length > 0 || process.env.STORY !== undefined)
      print(`  the story: ${await world.writeStory(`seed-${SEED}`)}`);
    expect(world.violations).toEqual([]);
  },
  LONGEST_MS,
);

function expectTried(world: World): void {
  for (const [what, wanted] of Object.entries(PER_300)) {
    const tried = what === 'faults' ? world.spent : world[what as 'daemonKills'];
    if (tried < share(wanted)) world.violate(`only ${tried} ${what} instead of ${share(wanted)}`);
  }
}

/**
 * Collects garbage, and retries for a minute. Right after the last fault a call may still fail, because the
 * fault may have cut the link to the Engine.
 */
async function expectCollected(world: World, ledger: Ledger): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    try {
      await collectGarbage(world, ledger);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await delay(500);
    }
  }
}

function report(world: World, ledger: Ledger, lists: ListWatch, events: EventsWatch, tookMs: number): void {
  const counts = (all: Readonly<Record<string, number>>): string =>
    Object.entries(all)
      .sort(([, one], [, other]) => other - one)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  print(`churn: SEED=${SEED} LIVES=${LIVES}: ${Math.round(tookMs / 1000)} s`);
  print(
    `  ${world.daemonKills} kills -9 and ${world.daemonStops} stops of the daemon, ${world.engineKills} kills -9 and ${world.engineStops} restarts of dockerd`,
  );
  print(`  faults: ${counts(world.faults)}`);
  print(`  calls: ${counts(ledger.calls)}`);
  print(`  failures, after which a retry succeeded: ${counts(ledger.failures)}`);
  print(`  ${ledger.logsCompared} logs with ${ledger.linesCompared} lines compared, ${events.events} events`);
  for (const [when, took] of [
    ['in all', lists.tookMs],
    ['while an Engine call hung', lists.hungMs],
  ] as const)
    print(
      `  ListContainers ${when}: p50 ${percentile(took, 0.5)} ms, p99 ${percentile(took, 0.99)} ms, of ${took.length}`,
    );
  print(
    `  at most ${world.mostDescriptors} descriptors and ${world.mostMemory >> 20} MiB at the checks of all invariants`,
  );
  for (const violation of world.violations) print(`  BROKEN: ${violation}`);
}
