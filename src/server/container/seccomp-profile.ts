import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { failedPrecondition, invalidArgument, messageOf } from '../../lib/errors';
import { seccompOption, seccompProfileFault, type SeccompChoice } from '../../translate/seccomp';

const MAX_PROFILE_BYTES = 1024 * 1024;

/**
 * SecurityOpt for the chosen profile; a localhost profile is read, checked and passed whole, for the Engine
 * takes the text, not the path.
 * @throws INVALID_ARGUMENT when the file is absent, too large or no profile.
 */
export async function loadSeccompOptions(choice: SeccompChoice): Promise<string[]> {
  if (choice.kind !== 'load') return seccompOption(choice, undefined);
  const text = await readBounded(choice.path, choice.field);
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

async function readBounded(path: string, field: string): Promise<string> {
  try {
    // Not blocking: a pipe that nobody writes to would hold a thread of libuv's few for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const info = await file.stat();
      if (!info.isFile()) throw failedPrecondition('not a regular file');
      if (info.size > MAX_PROFILE_BYTES) throw failedPrecondition(`larger than ${MAX_PROFILE_BYTES} bytes`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    throw invalidArgument(
      `${field}.localhost_ref`,
      `seccomp profile ${path} cannot be read: ${messageOf(error)}`,
    );
  }
}
