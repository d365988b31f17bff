import { drawLimited, forEachLimited, mapLimited } from '../../lib/async/concurrency';
import { KeyedLock } from '../../lib/async/keyed-lock';
import { failedPrecondition, hasCode, messageOf } from '../../lib/errors';
import { carryArchive, carryChain, carrySaved, type Carrying } from './carry';
import { ContainerdConnection } from './containerd/connection';
import { ContainerdContent, type Blob } from './containerd/content-store';
import { createLease, deleteLeases, thisOwner } from './containerd/leases';
import { decideForCrio, type CrioDecision } from './crio';
import { chainOf, decide, type Decision, type EngineContent } from './decision';
import type { EngineKind, EngineSide } from './engine-side';
import { estimate, type Estimate } from './estimate';
import type { Descriptor } from './manifest';
import type { ChosenImage, Selection } from './selection';
import { checkSpace, type Need } from './space';
import { CRI_NAMESPACE, Target } from './target';

/** How many images are carried at a time. */
const AT_A_TIME = 2;
const LOOKS_AT_A_TIME = 8;
/** How many calls of one image may wait for containerd, which syncs its database to the disk for each. */
const CALLS_AT_A_TIME = 4;

/** What became of an image. */
export interface Outcome {
  readonly decision: Decision;
  /** Bytes that were sent to the target. */
  readonly bytes: number;
  readonly ms: number;
  readonly error?: string | undefined;
}

export interface Watching {
  readonly onBytes: (bytes: number) => void;
  readonly onOutcome: (outcome: Outcome) => void;
}

/** Decides how each image gets to CRI-O. Changes nothing there. */
export async function decideAllForCrio(
  images: readonly ChosenImage[],
  kind: EngineKind,
  target: Pick<Target, 'criImage'>,
): Promise<CrioDecision[]> {
  const { endpoint, namespace = '' } = kind.containerd ?? {};
  const connection = endpoint === undefined ? undefined : new ContainerdConnection(endpoint);
  const content = connection && new ContainerdContent(connection, { namespace });
  try {
    return await mapLimited(images, LOOKS_AT_A_TIME, (image) => decideForCrio(image, kind, content, target));
  } finally {
    connection?.close();
  }
}

/**
 * Finds the images from registries, by the labels that a pull sets in the Engine's containerd.
 * @returns undefined for an Engine with its own store, whose digests show where an image is from.
 * @throws FAILED_PRECONDITION when not all images are in a containerd that this process can reach.
 */
export async function pulledImages(
  ids: readonly string[],
  kind: EngineKind,
  target: Target,
): Promise<ReadonlySet<string> | undefined> {
  if (kind.containerd === undefined) return undefined;
  const contents = engineContents(kind, target);
  const pulled = new Set<string>();
  let found = 0;
  try {
    await forEachLimited(ids, LOOKS_AT_A_TIME, async (id) => {
      for (const { content } of contents.list) {
        const isPulled = await unlessUnreachable(content.isPulled(id));
        if (isPulled === undefined) continue;
        found++;
        if (isPulled) pulled.add(id);
        return;
      }
    });
  } finally {
    contents.close();
  }
  if (found < ids.length)
    throw failedPrecondition(
      "--only-local needs the socket of the Engine's containerd, which tells where an image is from: use --used or --all",
    );
  return pulled;
}

async function unlessUnreachable<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    // CRI-O has no content store.
    if (hasCode(error, 'UNAVAILABLE') || hasCode(error, 'UNIMPLEMENTED')) return undefined;
    throw error;
  }
}

/** Decides how each image gets to the target. Changes nothing there. */
export async function decideAll(
  images: readonly ChosenImage[],
  engine: EngineSide,
  kind: EngineKind,
  target: Target,
): Promise<Decision[]> {
  const contents = engineContents(kind, target);
  const decisions = await mapLimited(images, LOOKS_AT_A_TIME, (image) =>
    decide(image, { engine, kind, target, contents: contents.list }),
  );
  // A chain that must be copied needs its connection until the end of the process.
  if (decisions.every(({ how }) => how !== 'copy')) contents.close();
  return decisions;
}

/** Adds up what the images need. */
export async function estimateAll(
  decisions: readonly Decision[],
  engine: Pick<EngineSide, 'layersSize'>,
  kind: EngineKind,
): Promise<Estimate> {
  const saved = decisions.filter(({ how }) => how === 'save');
  // With the containerd store, the size is that of unpacked layers, which says little about an archive.
  const isKnown = saved.length > 1 && kind.containerd === undefined;
  return estimate(decisions, isKnown ? await engine.layersSize() : undefined);
}

/**
 * Compares the space that the images need with the free space of the target, and of the Engine, which writes each archive to its disk
 * before it sends it.
 * @returns paths whose space could not be read.
 */
export async function checkSpaceFor(
  decisions: readonly Decision[],
  { moved, unpacked }: Estimate,
  kind: EngineKind,
  target: Target,
): Promise<string[]> {
  const bytes = moved + unpacked;
  const saved = decisions.filter(({ how }) => how === 'save').map(({ image }) => image.size);
  const largest = saved.sort((one, other) => other - one).slice(0, AT_A_TIME);
  const root = bytes === 0 ? undefined : await target.contentRoot();
  const needs: Need[] = [
    ...(root === undefined ? [] : [{ path: root, bytes, what: 'the images' }]),
    {
      path: kind.rootDir,
      bytes: largest.reduce((sum, size) => sum + size, 0),
      what: "the Engine's archives",
    },
  ];
  return checkSpace(needs);
}

/** Carries the images. An error ends only its own image. After `signal` fires, no further image begins. */
export async function carryAll(
  decisions: readonly Decision[],
  engine: EngineSide,
  kind: EngineKind,
  endpoint: string,
  {
    onBytes,
    onOutcome,
    selection,
    hasCri,
    signal,
  }: Watching & { readonly selection: Selection; readonly hasCri: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const plain = new Target(endpoint);
  const owner = await thisOwner(selection);
  const lease = await createLease(plain.connection, CRI_NAMESPACE, new Date(), owner);
  const target = new Target(endpoint, lease);
  const shared = { target: target.content, locks: new KeyedLock(), learned: new Map<string, Blob>(), signal };
  let failed = 0;
  try {
    const rest = decisions.filter(({ how }) => how !== 'skip').values();
    await drawLimited(rest, AT_A_TIME, async (decision) => {
      if (signal.aborted) return;
      const start = performance.now();
      let bytes = 0;
      const carrying = {
        ...shared,
        onBytes: (count: number): void => {
          bytes += count;
          onBytes(count);
        },
      };
      let error: string | undefined;
      try {
        await carryOne(decision, engine, kind, target, carrying, hasCri);
      } catch (cause) {
        failed++;
        error = messageOf(cause);
      }
      onOutcome({ decision, bytes, ms: performance.now() - start, error });
    });
    // After a failure, the lease keeps what has arrived for the next attempt.
    if (failed === 0 && !signal.aborted)
      await deleteLeases(plain.connection, { namespace: CRI_NAMESPACE, lease }, owner, new Date());
  } finally {
    target.close();
    plain.close();
  }
}

async function carryOne(
  decision: Decision,
  engine: EngineSide,
  kind: EngineKind,
  target: Target,
  carrying: Carrying,
  hasCri: boolean,
): Promise<void> {
  const { descriptor, configDigest } = await carryContent(decision, engine, kind, carrying);
  const { how, names } = decision;
  await forEachLimited(names, CALLS_AT_A_TIME, async (name) => {
    if (how !== 'present') await target.setRecord(name, descriptor);
    if (hasCri) await target.verify(name, configDigest);
  });
}

async function carryContent(
  decision: Decision,
  engine: EngineSide,
  kind: EngineKind,
  carrying: Carrying,
): Promise<{ descriptor: Descriptor; configDigest: string }> {
  const { how, image, diffIds, source } = decision;
  if (how !== 'save') {
    const chain = chainOf(decision);
    if (source !== undefined && how === 'share') await carryChain(chain, source, carrying, CALLS_AT_A_TIME);
    if (source !== undefined && how === 'copy') await carryChain(chain, source, carrying);
    return { descriptor: chain.top, configDigest: chain.configDigest };
  }
  // Aborted at the end of the reading, so that the Engine stops sending.
  const controller = new AbortController();
  const abort = (): void => controller.abort(carrying.signal?.reason);
  carrying.signal?.addEventListener('abort', abort, { once: true });
  const archive = (): Promise<AsyncIterable<Buffer>> => engine.archive(image.id, controller.signal);
  try {
    if (kind.containerd === undefined) {
      const { descriptor } = await carrySaved({ id: image.id, diffIds }, archive, carrying);
      return { descriptor, configDigest: image.id };
    }
    const { top, configDigest } = await carryArchive(image.id, kind.platform, archive, carrying);
    return { descriptor: top, configDigest };
  } finally {
    carrying.signal?.removeEventListener('abort', abort);
    controller.abort();
  }
}

/** The stores in which the Engine's images may be found. */
function engineContents(
  { containerd }: EngineKind,
  target: Target,
): { list: (EngineContent & { readonly content: ContainerdContent })[]; close: () => void } {
  if (containerd === undefined) return { list: [], close: () => undefined };
  const { endpoint, namespace } = containerd;
  const shared = new ContainerdContent(target.connection, { namespace });
  const list = [{ content: shared, isTarget: true }];
  if (endpoint === undefined) return { list, close: () => undefined };
  const connection = new ContainerdConnection(endpoint);
  list.push({ content: new ContainerdContent(connection, { namespace }), isTarget: false });
  return { list, close: () => connection.close() };
}
