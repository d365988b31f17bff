import { errnoOf } from '../../lib/errors';

const TROUBLE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/** Whether a disk is full, read-only or broken: that passes, and must not end what only remembers something there. */
export function isDiskTrouble(error: unknown): boolean {
  return TROUBLE.has(errnoOf(error));
}
