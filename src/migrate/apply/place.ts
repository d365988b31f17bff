import { lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors';
import { JOURNAL } from './journal';
import { Refused } from './refused';

const OTHERS_WRITE = 0o022;
/** What a plan may hold is secret, too. */
const OTHERS = 0o077;

/**
 * Makes sure that nobody but root can have written the plan, whose commands run as root.
 * @returns the directory of the plan as an absolute path without links.
 * @throws Refused; Error when the directory cannot be opened.
 */
export async function checkPlace(directory: string): Promise<string> {
  const uid = process.geteuid?.();
  if (uid !== 0) throw new Refused('the steps of a plan need root: run the command with sudo');
  const place = await realpath(directory).catch((error: unknown) => {
    throw new Error(
      `${directory} cannot be opened (${errnoOf(error) ?? 'unknown error'}): name the directory that \`dockbridge migrate plan --out\` has made`,
    );
  });
  for (const path of [place, join(place, 'plan.json'), join(place, JOURNAL)]) {
    const info = await lstat(path).catch(() => undefined);
    if (info === undefined) continue;
    if (info.uid !== uid)
      throw new Refused(
        `${path} belongs to the user ${info.uid}, who could change what runs as root. Make a new plan`,
      );
    // The mode of a link means nothing, but a link leads out of the directory.
    if (info.isSymbolicLink() || (info.mode & OTHERS_WRITE) !== 0)
      throw new Refused(
        `${path} is a link, or can be written by others, who could change what runs as root. If you trust its content: chmod go-w ${path}`,
      );
  }
  const { mode } = await lstat(place);
  if ((mode & OTHERS) !== 0)
    throw new Refused(
      `${place} is open to others, who could read secrets or change what runs as root. If you trust its content: chmod 700 ${place}`,
    );
  return place;
}
