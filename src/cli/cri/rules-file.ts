import { readFile } from 'node:fs/promises';
import { readRules } from '../../harness/compare/rules';
import type { Rule } from '../../harness/compare/rule';
import { invalidArgument, messageOf } from '../../lib/errors';

/** Returns the rules in the user's file, or none if no file is given. @throws an error that names the file, and the key in it. */
export async function rulesIn(file: string | undefined): Promise<readonly Rule[]> {
  if (file === undefined) return [];
  try {
    return readRules(await readFile(file, 'utf8'), file);
  } catch (error) {
    throw invalidArgument(file, messageOf(error));
  }
}
