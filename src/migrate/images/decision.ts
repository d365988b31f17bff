import { failedPrecondition, hasCode, messageOf } from '../../lib/errors';
import { resolveChain, type Chain } from './chain';
import type { BlobSource } from './containerd/content-store';
import type { EngineKind, EngineSide } from './engine-side';
import type { Descriptor } from './manifest';
import { nameOf, type ChosenImage } from './selection';
import type { Target } from './target';

/**
 * - `present`: the target has the image under all its names.
 * - `name`: the target has the image, but not under all its names.
 * - `share`: source and target are the same containerd, so no bytes move.
 * - `copy`: from the Engine's containerd to another one.
 * - `save`: through the archive of `docker save`.
 * - `skip`: the image cannot be carried.
 */
export type How = 'present' | 'name' | 'share' | 'copy' | 'save' | 'skip';

/** What is done for one image. */
export interface Decision {
  readonly image: ChosenImage;
  readonly how: How;
  /** The expected number of bytes to move. */
  readonly bytes: number;
  readonly why: string;
  /** The image's names on the target. */
  readonly names: readonly string[];
  /** The layers of an image of the Engine's own store. */
  readonly diffIds: readonly string[];
  /** The configuration and layers of a chain that CRI's namespace of the target lacks. With `share`, they move no bytes. */
  readonly missing: readonly Descriptor[];
  /** The image as one of the two stores has it. */
  readonly chain?: Chain | undefined;
  readonly source?: BlobSource | undefined;
}

/** A containerd in which the Engine keeps its images. */
export interface EngineContent {
  readonly content: BlobSource;
  readonly isTarget: boolean;
}

export interface Deciding {
  readonly engine: Pick<EngineSide, 'diffIds'>;
  readonly kind: EngineKind;
  readonly target: Pick<Target, 'content' | 'image' | 'record'>;
  /** The target first, because sharing moves no bytes. */
  readonly contents: readonly EngineContent[];
}

/** Decides how an image gets to the target. Changes nothing. */
export async function decide(image: ChosenImage, deciding: Deciding): Promise<Decision> {
  return deciding.kind.containerd === undefined ? decideSaved(image, deciding) : decideChain(image, deciding);
}

async function decideSaved(image: ChosenImage, { engine, kind, target }: Deciding): Promise<Decision> {
  const base = { image, names: image.tags, diffIds: [], missing: [], bytes: 0 };
  if (image.tags.length === 0)
    return {
      ...base,
      how: 'skip',
      why: "pulled by its digest, which docker save does not keep: the target's kubelet pulls it again",
    };
  const found = await presence(image.tags, image.id, deciding(target, kind));
  if (found !== undefined) return { ...base, ...found, why: image.why };
  const diffIds = await engine.diffIds(image.id);
  if (diffIds.length === 0) return { ...base, how: 'skip', why: 'it has no layers' };
  let bytes = image.size;
  for (const digest of new Set(diffIds)) bytes -= (await target.content.info(digest))?.size ?? 0;
  return { ...base, diffIds, how: 'save', bytes: Math.max(0, bytes), why: whyWithDigest(image) };
}

async function decideChain(image: ChosenImage, all: Deciding): Promise<Decision> {
  const { kind, target, contents } = all;
  const names = [...image.tags, ...image.digests.filter((name) => name.endsWith(`@${image.id}`))];
  const base = { image, names, diffIds: [], missing: [], bytes: 0, why: image.why };
  for (const { content, isTarget } of contents) {
    const chain = await chainIn(content, image, kind);
    if (chain === undefined) continue;
    if (typeof chain === 'string') return { ...base, how: 'skip', why: chain };
    const found = await presence(names, chain.configDigest, deciding(target, kind));
    if (found !== undefined) return { ...base, ...found };
    const missing: Descriptor[] = [];
    for (const blob of chain.blobs)
      if ((await target.content.info(blob.digest)) === undefined) missing.push(blob);
    if (isTarget) return { ...base, how: 'share', missing, chain, source: content };
    const bytes = missing.reduce((sum, { size }) => sum + size, 0);
    return { ...base, how: 'copy', bytes, missing, chain, source: content };
  }
  // Without access to the Engine's containerd, only the Engine's id of the image can be compared.
  const records = await Promise.all(names.map((name) => target.image(name, kind.platform)));
  const isPresent = records.length > 0 && records.every((found) => found?.top.digest === image.id);
  if (isPresent) return { ...base, how: 'present', chain: records[0] };
  return { ...base, how: 'save', bytes: image.size };
}

/** @returns the reason as text when the image cannot be carried; undefined when this store does not have it. */
async function chainIn(
  content: BlobSource,
  { id }: ChosenImage,
  { platform }: EngineKind,
): Promise<Chain | string | undefined> {
  try {
    return await resolveChain(content, id, platform);
  } catch (error) {
    // The socket of the Engine's containerd may be on another machine, or closed to this process.
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'UNAVAILABLE')) return undefined;
    if (hasCode(error, 'FAILED_PRECONDITION')) return messageOf(error);
    throw error;
  }
}

type Looking = (name: string) => Promise<Chain | undefined>;

function deciding(target: Deciding['target'], { platform }: EngineKind): Looking {
  return (name) => target.image(name, platform);
}

/** Looks for the image under its names on the target. */
async function presence(
  names: readonly string[],
  configDigest: string,
  look: Looking,
): Promise<{ how: 'present' | 'name'; chain: Chain } | undefined> {
  const found = await Promise.all(names.map(look));
  const same = found.filter((chain) => chain?.configDigest === configDigest);
  const [chain] = same;
  if (chain === undefined) return undefined;
  return { how: same.length === names.length ? 'present' : 'name', chain };
}

function whyWithDigest({ why, digests }: ChosenImage): string {
  return digests.length === 0 ? why : `${why}; pods that name its registry digest pull it again`;
}

/** @throws FAILED_PRECONDITION naming an image that cannot be carried. */
export function chainOf({ chain, image }: Decision): Chain {
  if (chain === undefined) throw failedPrecondition(`${nameOf(image)} has no manifest`);
  return chain;
}
