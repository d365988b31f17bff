import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PodTrial } from '../doctor/checks/dockbridge';
import { messageOf } from '../lib/errors';
import { CriClient } from '../server/client/cri-client';
import { runDemoPod } from './demo-pod';

/** The limit of each call, of a pull too. kubelet waits two minutes; somebody at a terminal does not. */
const CALL_MS = 60_000;

/** Runs one pod through CRI. The pod is removed whatever happens. */
export async function tryPod(endpoint: string, image: string): Promise<Omit<PodTrial, 'kubeletRuns'>> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
  const client = new CriClient(endpoint);
  const call: CriClient['call'] = (method, request, ms) =>
    client.call(method, request, Math.min(ms ?? CALL_MS, CALL_MS));
  let failure: PodTrial['failure'];
  const onFailure = (step: string, error: unknown): void => {
    // Only the first failure counts. The later ones come from removing what was never made.
    failure ??= { step, message: messageOf(error) };
  };
  try {
    const options = { image, logDirectory: join(directory, 'logs'), print: () => undefined, onFailure };
    return { image, times: await runDemoPod({ call }, options) };
  } catch (error) {
    return { image, times: [], failure: failure ?? { step: 'the pod', message: messageOf(error) } };
  } finally {
    client.close();
    await rm(directory, { recursive: true, force: true });
  }
}
