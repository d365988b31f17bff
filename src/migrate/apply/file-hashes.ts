import { mapLimited } from '../../lib/async/concurrency';
import { NodeRoot } from '../gather/node-root';
import { sha256 } from '../plan/sha256';

const CONCURRENCY = 8;

/** Returns the SHA-256 of files of the node by path, as the inventory has them. A file that cannot be read has no entry. */
export async function fileHashes(paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const node = new NodeRoot('/');
  const found = await mapLimited(paths, CONCURRENCY, async (path) => {
    const text = await node.text(path);
    return text === undefined ? [] : [[path, sha256(text)] as const];
  });
  return new Map(found.flat());
}
