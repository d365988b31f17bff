import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineContainerInspect } from '../../../src/engine/types';

/** An answer to `GET /containers/{id}/json` of Engine 20.10, from test/fixtures/inspect. */
export function recordedInspect(name: string): EngineContainerInspect {
  const file = join(__dirname, '../../fixtures/inspect', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as EngineContainerInspect;
}
