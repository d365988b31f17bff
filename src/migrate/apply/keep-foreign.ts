import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { StepState } from './journal';
import type { PlanOnDisk } from './read-plan';
import type { StepTools } from './run-step';

/** Relative to the directory of the plan. */
const KEPT = 'replaced';

/**
 * Copies the files of a step that somebody has changed since, because the undo replaces them.
 * @param state of the step. A step that was interrupted may have left a part of a file, which is not kept.
 */
export async function keepForeign(
  plan: PlanOnDisk,
  step: string,
  state: StepState,
  { hashes, say }: Pick<StepTools, 'hashes' | 'say'>,
): Promise<void> {
  if (state !== 'done') return;
  const files = plan.files.filter((file) => file.step === step);
  const found = await hashes(files.map(({ path }) => path));
  for (const { path, sha256Before, sha256After } of files) {
    const hash = found.get(path);
    if (hash === undefined || hash === sha256After || hash === sha256Before) continue;
    const copy = join(plan.directory, KEPT, path);
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    await copyFile(path, copy);
    say(`    ${path} was changed after the plan wrote it: a copy is in ${copy}`);
  }
}
