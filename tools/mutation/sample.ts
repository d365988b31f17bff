import { createHash } from 'node:crypto';

/**
 * Returns a random part of the items, which is the same for the same seed. An item keeps its rank when others
 * are added or removed, so a sample after a change is mostly the same as before.
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
