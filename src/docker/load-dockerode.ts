import { createRequire, Module } from 'node:module';
import type Docker from 'dockerode';

/**
 * Loads dockerode without its two largest parts, which dockbridge does not use: docker-modem's client for `ssh://` addresses
 * with ssh2, and BuildKit sessions with protobufjs. Each part is loaded at its first call, so dockerode behaves as usual
 * (docs/adr/0081-small-at-rest.md). In packages, packaging/bundle.mjs leaves out both parts and replaces this module.
 */
export function loadDockerode(): typeof Docker {
  const load = createRequire(__filename);
  const fromDockerode = createRequire(load.resolve('dockerode'));
  for (const part of ['docker-modem/lib/ssh', './session']) postpone(fromDockerode, part);
  return load('dockerode') as typeof Docker;
}

type Part = (...args: unknown[]) => unknown;

/**
 * Puts a function into Node.js' cache of modules that loads the real function of this module at its first call. Does nothing if there is no
 * such module.
 */
function postpone(load: NodeJS.Require, part: string): void {
  const file = fileOf(load, part);
  if (file === undefined || load.cache[file] !== undefined) return;
  const exports: Part = (...args) => {
    if (load.cache[file] === stand) Reflect.deleteProperty(load.cache, file);
    return (load(part) as Part)(...args);
  };
  const stand = Object.assign(new Module(file), { filename: file, loaded: true, exports });
  load.cache[file] = stand;
}

/**
 * Returns the file of a module; undefined if it cannot be found. A later docker-modem, which npm may install, can have its parts in other
 * files. dockbridge then starts nevertheless, and needs more memory.
 */
function fileOf(load: NodeJS.Require, part: string): string | undefined {
  try {
    return load.resolve(part);
  } catch {
    return undefined;
  }
}
