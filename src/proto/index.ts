/**
 * The only door to the generated codecs (`make proto`). Two types for every message X:
 *
 * - `cri.IX`: what we build and encode; every field may be missing. int64 is `number | Long`: Long for nanosecond
 *   timestamps. A bigint would silently become 0 on the wire; the types forbid it.
 * - `Decoded<cri.IX>`: what came off the wire; only message fields may be null. It is assignable to `cri.IX`.
 *
 * A decoded message keeps its proto3 defaults on the prototype: read its fields, never spread or JSON.stringify it.
 * `import type` costs nothing at run time; a plain import loads the codecs (30 ms).
 */
import { runtime } from './gen/cri';

export import cri = runtime.v1;
export type { Decoded } from './decoded';
