import { destroyEngine, engineLeftovers, engineRuns, engineTraces, machineTraces } from './engine';

/** Stops the Engine that global-setup.ts started; the run fails if tests or the Engine left anything behind. */
export default async function tearDown(): Promise<void> {
  const name = process.env.DOCKBRIDGE_TEST_ENGINE_NAME;
  const dockerHost = process.env.DOCKBRIDGE_TEST_DOCKER_HOST;
  if (name === undefined || dockerHost === undefined) return;
  const forgotten = await engineLeftovers(dockerHost).catch((error: unknown) => [
    `an Engine that does not answer: ${String(error)}`,
  ]);
  await destroyEngine(name);
  const before = JSON.parse(process.env.DOCKBRIDGE_TEST_ENGINE_TRACES ?? '[]') as string[];
  // While another Engine runs, new ones may be its.
  const shared = (await engineRuns()) ? [] : await machineTraces();
  const left = [
    ...forgotten,
    ...(await engineTraces(name)),
    ...shared.filter((trace) => !before.includes(trace)),
  ];
  if (left.length > 0) throw new Error(`The integration tests left behind:\n  ${left.join('\n  ')}`);
}
