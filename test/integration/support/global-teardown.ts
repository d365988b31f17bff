import { setTimeout as delay } from 'node:timers/promises';
import { destroyEngine, engineLeftovers, engineRuns, engineTraces, machineTraces } from './engine';

/** Stops the Engine that global-setup.ts started. The run fails if tests or the Engine left anything. */
export default async function tearDown(): Promise<void> {
  // scripts/jest-still-open.cjs waits for the end.
  process.env.DOCKBRIDGE_TEST_TEARDOWN = 'running';
  try {
    await stopEngine();
  } finally {
    delete process.env.DOCKBRIDGE_TEST_TEARDOWN;
  }
}

async function stopEngine(): Promise<void> {
  const name = process.env.DOCKBRIDGE_TEST_ENGINE_NAME;
  const dockerHost = process.env.DOCKBRIDGE_TEST_DOCKER_HOST;
  if (name === undefined || dockerHost === undefined) return;
  const forgotten = await engineLeftovers(dockerHost).catch((error: unknown) => [
    `an Engine that does not answer: ${String(error)}`,
  ]);
  await destroyEngine(name);
  const before = JSON.parse(process.env.DOCKBRIDGE_TEST_ENGINE_TRACES ?? '[]') as string[];
  const left = [...forgotten, ...(await engineTraces(name)), ...(await newTraces(before))];
  if (left.length > 0) throw new Error(`The integration tests left behind:\n  ${left.join('\n  ')}`);
}

/** Another Engine may be half removed: its processes are gone, and its cgroups still exist. */
const OTHERS_REMOVAL_MS = 60_000;
const LOOK_MS = 500;

/** Returns interfaces and cgroups that were not there before. While another Engine runs, they may belong to it. */
async function newTraces(before: readonly string[]): Promise<string[]> {
  const end = performance.now() + OTHERS_REMOVAL_MS;
  for (;;) {
    if (await engineRuns()) return [];
    const traces = (await machineTraces()).filter((trace) => !before.includes(trace));
    if (traces.length === 0 || performance.now() > end) return traces;
    await delay(LOOK_MS);
  }
}
