import { stat } from 'node:fs/promises';
import { parse } from 'yaml';
import { errnoOf, messageOf } from '../../lib/errors';
import { SmallFile } from '../../node/disk/files';
import { isSameSocket } from '../../node/disk/socket-file';
import type { Check } from '../check';
import { ok, warn, type Finding } from '../report';

/** The configuration file that crictl reads by default. */
const CONFIG = '/etc/crictl.yaml';
const MAX_BYTES = 1 << 20;
/** Without a configuration, crictl connects to the first of these sockets that exists, and only then tries cri-dockerd's. */
const OTHERS = ['/run/containerd/containerd.sock', '/run/crio/crio.sock'];

/** The facts about crictl on this node. */
export interface CrictlFacts {
  readonly path: string;
  /** The text of crictl's configuration file; undefined when there is no such file. */
  readonly text: string | undefined;
  /** The sockets of other runtimes that exist on this node. */
  readonly others: readonly string[];
  /** The endpoint on which dockbridge listens. */
  readonly endpoint: string;
}

/** Checks whether crictl connects to dockbridge. Docker's packages install containerd, whose socket crictl prefers. */
export const crictl: Check = {
  id: 'crictl',
  run: async ({ settings: { endpoint } }) => [judgeCrictl(await readCrictl(endpoint))],
};

/**
 * Reads the facts about crictl.
 * @param path crictl's configuration file; tests replace it.
 * @param sockets the sockets that crictl prefers to dockbridge's; tests replace them.
 * @throws Error if the configuration cannot be read.
 */
export async function readCrictl(endpoint: string, path = CONFIG, sockets = OTHERS): Promise<CrictlFacts> {
  const text = await new SmallFile(path, MAX_BYTES).text().catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  const others: string[] = [];
  for (const socket of sockets) {
    const isThere = await stat(socket).then(
      (file) => file.isSocket(),
      () => false,
    );
    if (isThere) others.push(socket);
  }
  return { path, text, others, endpoint };
}

export function judgeCrictl({ path, text, others, endpoint }: CrictlFacts): Finding {
  if (endpoint.startsWith('fd:'))
    return ok(`not compared: ${endpoint} is a socket that systemd passes to dockbridge (see cri-socket)`);
  const cure = `Put this line into ${path}:\nruntime-endpoint: ${endpoint}\nor run each crictl command with --runtime-endpoint ${endpoint}`;
  let named: Endpoints;
  try {
    named = endpointsIn(text ?? '');
  } catch (error) {
    return warn(`crictl cannot read ${path}: ${messageOf(error)}`, cure);
  }
  const strange = [named.runtime, named.image].find((one) => one !== '' && !isSameSocket(one, endpoint));
  if (strange !== undefined)
    return warn(`crictl asks ${strange} (${path}), but dockbridge listens on ${endpoint}`, cure);
  if (named.runtime !== '') return ok(`crictl asks ${named.runtime}, where dockbridge listens (${path})`);
  const [other] = others;
  if (other === undefined) return ok(`there is no other runtime that crictl would ask`);
  const what = text === undefined ? `there is no ${path}` : `${path} names no runtime-endpoint`;
  return warn(`crictl asks another runtime, which has none of the pods: ${what}, and ${other} exists`, cure);
}

interface Endpoints {
  readonly runtime: string;
  readonly image: string;
}

/**
 * Reads the endpoints in crictl's configuration.
 * @throws Error if the text is not a map. The message does not quote the text.
 */
function endpointsIn(text: string): Endpoints {
  const config: unknown = parse(text, { prettyErrors: false, logLevel: 'error' }) ?? {};
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new Error('it is not a map');
  const values = new Map<string, unknown>(Object.entries(config));
  const of = (key: string): string => {
    const value = values.get(key) ?? '';
    if (typeof value !== 'string') throw new Error(`"${key}" is not text`);
    return value;
  };
  return { runtime: of('runtime-endpoint'), image: of('image-endpoint') };
}
