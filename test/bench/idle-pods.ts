import type { ChildDaemon } from '../integration/support/child-daemon';
import { TEST_IMAGE } from '../integration/support/engine';
import { FOREVER } from '../integration/support/pods';

const MADE_AT_ONCE = 6;

export interface IdlePods {
  readonly pods: number;
  /** The number of containers in each pod, without the pause container. */
  readonly perPod: number;
  /** The number of the first pod. */
  readonly from?: number;
}

/** Makes pods whose containers write one line and then sleep. */
export async function makeIdlePods(
  { client, logDirectory }: ChildDaemon,
  { pods, perPod, from = 0 }: IdlePods,
): Promise<void> {
  const left = Array.from({ length: pods }, (_, at) => from + at).values();
  const one = async (at: number): Promise<void> => {
    const name = `idle-${at}`;
    const config = {
      metadata: { name, uid: `uid-${name}`, namespace: 'bench', attempt: 0 },
      ...{ hostname: name, log_directory: `${logDirectory}/${name}`, linux: {} },
    };
    const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
    for (let number = 0; number < perPod; number++) {
      const container = {
        metadata: { name: `c${number}`, attempt: 0 },
        image: { image: TEST_IMAGE },
        command: ['/bin/sh', '-c', `echo ready; ${FOREVER}00`],
        ...{ log_path: `c${number}.log`, labels: { at: String(at) }, linux: {} },
      };
      const request = { pod_sandbox_id, config: container, sandbox_config: config };
      const { container_id } = await client.call('CreateContainer', request);
      await client.call('StartContainer', { container_id });
    }
  };
  const worker = async (): Promise<void> => {
    for (const at of left) await one(at);
  };
  await Promise.all(Array.from({ length: MADE_AT_ONCE }, worker));
}
