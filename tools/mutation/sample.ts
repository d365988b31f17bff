import { createHash } from 'node:crypto';

/**
 * Takes a random part that is the same for the same seed; an item keeps its place in the lot when others come or go, so
 * that a sample drawn after a change is mostly the one drawn before.
 */
export function sampleOf<Item extends { readonly id: string }>(
  items: readonly Item[],
  size: number,
  seed: string,
): Item[] {
  const lots = new Map(
    items.map((item) => [item, createHash('sha256').update(`${seed}/${item.id}`).digest('hex')]),
  );
  const drawn = new Set(
    [...items].sort((a, b) => ((lots.get(a) ?? '') < (lots.get(b) ?? '') ? -1 : 1)).slice(0, size),
  );
  return items.filter((item) => drawn.has(item));
}
