import type { Endpoint } from '../../harness/drive/endpoint';
import type { Observation, ObservedCall } from '../../harness/observation';
import { mapLimited } from '../../lib/async/concurrency';
import type { CriClient } from '../../server/client/cri-client';

export type Client = Pick<CriClient, 'call'>;

/** What a runtime says about itself, and what its pods need. */
export interface StaticSide {
  /** The answers to METHODS, for the comparison field by field. */
  readonly observation: Observation;
  readonly conditions: readonly Condition[];
  /** The handlers that Status names. Empty for a runtime that does not name them. */
  readonly handlers: readonly string[];
  /** The handlers that pods use, with the names of these pods. */
  readonly usedHandlers: ReadonlyMap<string, readonly string[]>;
}

export interface Condition {
  readonly type: string;
  readonly isMet: boolean;
  /** The runtime's reason, for people. */
  readonly why: string;
}

/** An image as a runtime answers it for a name. */
export interface ImageAnswer {
  /** The name that the containers ask for. */
  readonly name: string;
  readonly id: string;
  /** Digests without the names before them. */
  readonly digests: readonly string[];
}

export interface UsedImage extends ImageAnswer {
  /** Containers as `namespace/pod/container`. */
  readonly containers: readonly string[];
}

/** The calls whose answers describe the runtime as a whole. */
const METHODS = ['Version', 'Status', 'RuntimeConfig', 'ImageFsInfo'] as const;
const CALL_MS = 30_000;
const CONCURRENCY = 4;

/** @throws the runtime's error if it does not answer Version, Status or a list. */
export async function readSide(
  endpoint: Pick<Endpoint, 'call' | 'address'>,
  client: Client,
): Promise<StaticSide> {
  const { runtime_name: name, runtime_version: version } = await client.call('Version', {}, CALL_MS);
  const calls: ObservedCall[] = [];
  for (const [n, method] of METHODS.entries()) {
    const answer = await endpoint.call(method, {}, { deadlineMs: CALL_MS });
    calls.push({ n, t: n, method, request: {}, ...answer });
  }
  const { status, runtime_handlers } = await client.call('Status', {}, CALL_MS);
  const { items } = await client.call('ListPodSandbox', {}, CALL_MS);
  const usedHandlers = new Map<string, string[]>();
  for (const { runtime_handler: handler, metadata } of items) {
    const pods = usedHandlers.get(handler) ?? [];
    usedHandlers.set(handler, [...pods, `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`]);
  }
  return {
    observation: { source: endpoint.address, runtime: { name, version }, calls },
    conditions: (status?.conditions ?? []).map(({ type, status: isMet, reason, message }) => ({
      ...{ type, isMet },
      why: [reason, message].filter((text) => text !== '').join(': '),
    })),
    handlers: runtime_handlers.map(({ name: handler }) => handler),
    usedHandlers,
  };
}

/** Returns the images of all containers, with what the runtime answers for their names. */
export async function usedImages(client: Client): Promise<UsedImage[]> {
  const [{ items }, { containers }] = [
    await client.call('ListPodSandbox', {}, CALL_MS),
    await client.call('ListContainers', {}, CALL_MS),
  ];
  const pods = new Map(items.map(({ id, metadata }) => [id, metadata]));
  const users = new Map<string, string[]>();
  for (const { image, metadata, pod_sandbox_id } of containers) {
    const name = [image?.user_specified_image, image?.image].find(
      (text) => text !== undefined && text !== '',
    );
    if (name === undefined) continue;
    const pod = pods.get(pod_sandbox_id);
    const user = `${pod?.namespace ?? ''}/${pod?.name ?? ''}/${metadata?.name ?? ''}`;
    users.set(name, [...(users.get(name) ?? []), user]);
  }
  const answers = await mapLimited([...users], CONCURRENCY, async ([name, ofImage]) => {
    const { image } = await client.call('ImageStatus', { image: { image: name } }, CALL_MS);
    // The image may have been removed while its containers run. Nobody can carry it then.
    if (!image) return [];
    // A container that was created by an image's id is asked for by one of the image's names, because ids differ between runtimes.
    const known = isId(name) ? (image.repo_tags[0] ?? image.repo_digests[0] ?? name) : name;
    return [{ ...answerOf(known, image), containers: ofImage }];
  });
  return answers.flat();
}

/** Returns what a runtime answers for each of these names. Images that it lacks are missing. */
export async function answersFor(
  client: Client,
  names: readonly string[],
): Promise<Map<string, ImageAnswer>> {
  const answers = await mapLimited([...new Set(names)], CONCURRENCY, async (name) => {
    const { image } = await client.call('ImageStatus', { image: { image: name } }, CALL_MS);
    return image ? [[name, answerOf(name, image)] as const] : [];
  });
  return new Map(answers.flat());
}

function answerOf(
  name: string,
  { id, repo_digests }: { readonly id: string; readonly repo_digests: readonly string[] },
): ImageAnswer {
  return { name, id, digests: repo_digests.map((reference) => reference.replace(/^.*@/, '')) };
}

function isId(name: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(name);
}
