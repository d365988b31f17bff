import type { DiskLooks } from '../../node/disk/disk-looks';
import { hasCode, invalidArgument, messageOf } from '../../lib/errors';
import { readRegular } from '../../node/disk/files';
import { seccompOption, seccompProfileFault, type SeccompChoice } from '../../translate/shared/seccomp';

const MAX_PROFILE_BYTES = 1024 * 1024;

/**
 * SecurityOpt for the chosen profile; a localhost profile is read, checked and passed whole, for the Engine
 * takes the text, not the path.
 * @throws INVALID_ARGUMENT when the file is absent, too large or no profile; DEADLINE_EXCEEDED when its disk hangs.
 */
export async function loadSeccompOptions(choice: SeccompChoice, hostDisks: DiskLooks): Promise<string[]> {
  if (choice.kind !== 'load') return seccompOption(choice, undefined);
  const text = await readProfile(choice.path, choice.field, hostDisks);
  const fault = faultOf(text);
  if (fault !== undefined) throw invalidArgument(`${choice.field}.localhost_ref`, `${choice.path} ${fault}`);
  // As it is: parsed and written anew, 64-bit argument values would lose their last digits.
  return seccompOption(choice, text);
}

function faultOf(text: string): string | undefined {
  try {
    return seccompProfileFault(JSON.parse(text));
  } catch (error) {
    return `is not JSON: ${messageOf(error)}`;
  }
}

async function readProfile(path: string, field: string, hostDisks: DiskLooks): Promise<string> {
  try {
    return await hostDisks.run(`Reading ${path}`, path, () => readRegular(path, MAX_PROFILE_BYTES));
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) throw error;
    throw invalidArgument(
      `${field}.localhost_ref`,
      `seccomp profile ${path} cannot be read: ${messageOf(error)}`,
    );
  }
}
