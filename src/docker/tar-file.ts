import { posix } from 'node:path';

/** The one entry of an archive of one path. */
export type TarEntry =
  | { readonly kind: 'file'; readonly content: Buffer }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'other' };

const BLOCK = 512;
/** Headers about the next entry: pax and GNU's long names. */
const ABOUT_NEXT = new Set(['x', 'g', 'L', 'K']);

/** The first entry of a tar archive, as far as it is a file or a link; undefined for an empty or a torn archive. */
export function firstTarEntry(tar: Buffer): TarEntry | undefined {
  for (let at = 0; at + BLOCK <= tar.length;) {
    const type = tar.toString('latin1', at + 156, at + 157);
    const size = parseInt(text(tar, at + 124, 12), 8) || 0;
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size || text(tar, at, 100) === '') return undefined;
    if (!ABOUT_NEXT.has(type)) {
      if (type === '0' || type === '\0') return { kind: 'file', content };
      return type === '2' ? { kind: 'link', target: text(tar, at + 157, 100) } : { kind: 'other' };
    }
    at += BLOCK * (1 + Math.ceil(size / BLOCK));
  }
  return undefined;
}

/** Where a link at `path` leads. */
export function linkTarget(path: string, target: string): string {
  return posix.resolve(posix.dirname(path), target);
}

function text(tar: Buffer, at: number, length: number): string {
  const field = tar.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? length : end).trim();
}
