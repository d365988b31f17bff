import { dirname, join } from 'node:path';
import type { JsonObject } from '../lib/json';

/**
 * Returns those of the paths that a configuration of containerd imports, in the order in which containerd reads them.
 * @param config the configuration. containerd takes a relative path in it for one next to its file.
 */
export function importedPaths(mainPath: string, config: JsonObject, paths: readonly string[]): string[] {
  const { imports } = config;
  const globs = Array.isArray(imports) ? imports.filter((one): one is string => typeof one === 'string') : [];
  const patterns = globs.map((one) => patternOf(one.startsWith('/') ? one : join(dirname(mainPath), one)));
  return paths.filter((path) => path !== mainPath && patterns.some((pattern) => pattern.test(path))).sort();
}

/** Translates a pattern of Go's filepath.Glob, without its character classes. */
function patternOf(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`);
}
