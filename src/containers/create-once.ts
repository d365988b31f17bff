import { createHash } from 'node:crypto';
import { hasStatus } from '../docker/errors';
import { messageOf, unavailable } from '../lib/errors';
import { pause } from '../lib/async/abortable';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import { uniqueEngineName } from '../translate/shared/names';
import type { ContainerServices } from './services';

/** kubelet asks again after two minutes. By then it should have heard why the call failed. */
const PATIENCE_MS = 60_000;
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 1_000;

/** What to do with the container that has the wanted name already. */
export type Verdict =
  /** It is what the caller wanted. */
  | { readonly id: string }
  /** It belongs to somebody else: ours gets a longer name. */
  | 'stranger'
  /** It was a useless leftover and is removed now. */
  | 'removed';

export interface Creation {
  readonly create: (engineName: string) => Promise<string>;
  /** @param holder undefined for a container that does not belong to a pod. */
  readonly judge: (holder: SandboxRecord | ContainerRecord | undefined) => Verdict | Promise<Verdict>;
  /** Tells this container's longer name from that of any other with the same name. */
  readonly owner: string;
  /** Another limit, for tests. */
  readonly patienceMs?: number;
}

/**
 * Creates a container under `engineName`, for a caller that holds that name, so that a call that is repeated never makes a
 * second one.
 *
 * A name that is taken (409) by a container that does not exist (404) belongs to a create call whose answer was lost and that
 * the Engine is still working on, or to a removal that is almost finished. Then we wait and ask again. An owner's longer name
 * is always the same, because its own create call may have been lost too.
 * @returns the container's id.
 * @throws UNAVAILABLE when the Engine gives no container to the name within a minute.
 */
export async function createOnce(
  { life }: Pick<ContainerServices, 'life'>,
  engineName: string,
  creation: Creation,
  signal: AbortSignal,
): Promise<string> {
  const { create, judge, owner, patienceMs = PATIENCE_MS } = creation;
  const longer = uniqueEngineName(engineName, suffixOf(`${owner} ${engineName}`));
  let name = engineName;
  let lookMs = FIRST_LOOK_MS;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await create(name);
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
      const { exists, record } = await life.discover(name, signal);
      if (!exists) {
        if (performance.now() > deadline) throw stillTaken(name, error);
        await pause(lookMs, signal);
        signal.throwIfAborted();
        lookMs = Math.min(2 * lookMs, LAST_LOOK_MS);
        continue;
      }
      const verdict = await judge(record);
      if (typeof verdict === 'object') return verdict.id;
      if (verdict === 'removed') continue;
      if (name === longer) throw error;
      name = longer;
    }
  }
}

function suffixOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function stillTaken(name: string, error: unknown): Error {
  return unavailable(
    `Docker Engine says that the name ${name} is taken, but has no such container: it is probably still creating it (${messageOf(error)})`,
  );
}
