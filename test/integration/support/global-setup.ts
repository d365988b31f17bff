import { loadTestImages, machineTraces, startEngine } from './engine';

/**
 * One private Engine for all integration tests, its address in DOCKBRIDGE_TEST_DOCKER_HOST (workers inherit it). An
 * address that is set already names an Engine to use instead: it is neither stopped nor checked.
 */
export default async function setUp(): Promise<void> {
  const given = process.env.DOCKBRIDGE_TEST_DOCKER_HOST;
  if (given !== undefined && given !== '') {
    await loadTestImages(given);
    return;
  }
  const name = `test-${process.pid}`;
  process.env.DOCKBRIDGE_TEST_ENGINE_TRACES = JSON.stringify(await machineTraces());
  const dockerHost = await startEngine(name);
  // Set before anything can fail: teardown does not run after a failed setup, the next start's sweep does.
  process.env.DOCKBRIDGE_TEST_ENGINE_NAME = name;
  process.env.DOCKBRIDGE_TEST_DOCKER_HOST = dockerHost;
  await loadTestImages(dockerHost);
}
