import type { TestDaemon } from './daemon';

const LIMIT_MS = 60_000;

/** Resolves once the daemon has read the Engine's state. A slow machine may need longer than one call waits. */
export async function untilSynced(test: TestDaemon): Promise<void> {
  for (const started = Date.now(); ;) {
    try {
      await test.daemon.whenSynced();
      return;
    } catch (error) {
      if (Date.now() - started > LIMIT_MS) throw error;
    }
  }
}

/** Resolves once the daemon reports that its Engine is gone. */
export async function untilEngineIsMissed(test: TestDaemon): Promise<void> {
  for (const started = Date.now(); ;) {
    const { status } = await test.client.call('Status', {});
    if (status?.conditions.some(({ type, status: good }) => type === 'RuntimeReady' && !good) === true)
      return;
    if (Date.now() - started > LIMIT_MS)
      throw new Error('the daemon did not notice within the time limit that its Engine is gone');
  }
}
