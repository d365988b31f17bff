import { loadTestImages, machineTraces, startEngine } from './engine';

/**
 * Starts one private Engine for all integration tests, with its address in DOCKBRIDGE_TEST_DOCKER_HOST,
 * which workers inherit. If an address is already set, that Engine is used, and is neither stopped nor
 * checked.
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
  // The address is set before anything can fail. Teardown does not run after a failed setup, but the next
  // start cleans up.
  process.env.DOCKBRIDGE_TEST_ENGINE_NAME = name;
  process.env.DOCKBRIDGE_TEST_DOCKER_HOST = dockerHost;
  await loadTestImages(dockerHost);
}
