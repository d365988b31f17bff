import { messageOf } from '../../lib/errors';
import type { CriClient } from '../../server/client/cri-client';

/** What a runtime says about itself. */
export interface Readiness {
  readonly name: string;
  readonly version: string;
  /** Why it is not ready, one message each; empty when it is. */
  readonly problems: readonly string[];
}

/** The conditions that kubelet waits for. */
const WANTED = ['RuntimeReady', 'NetworkReady'];
const CALL_MS = 10_000;

/** Asks a runtime whether a kubelet can use it. @throws Error when no runtime answers. */
export async function readiness(cri: Pick<CriClient, 'call'>, endpoint: string): Promise<Readiness> {
  try {
    const { runtime_name: name, runtime_version: version } = await cri.call('Version', {}, CALL_MS);
    const { status } = await cri.call('Status', {}, CALL_MS);
    const conditions = status?.conditions ?? [];
    const problems = WANTED.flatMap((type) => {
      const found = conditions.find((condition) => condition.type === type);
      if (found?.status === true) return [];
      return [
        `${type} is ${found === undefined ? 'missing' : `false: ${found.reason} ${found.message}`.trim()}`,
      ];
    });
    return { name, version, problems };
  } catch (error) {
    throw new Error(`no runtime answers at ${endpoint}: ${messageOf(error)}`, { cause: error });
  }
}
