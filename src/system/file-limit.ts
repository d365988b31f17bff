import { readFile } from 'node:fs/promises';
import type { Logger } from '../lib/logger';

/** A few hundred containers, with their logs and streams. */
const ENOUGH = 4_096;

/** Says at start how many files this process may have open, so that nobody has to find out by what fails. */
export async function tellFileLimit(logger: Logger, path = '/proc/self/limits'): Promise<void> {
  const limits = await readFile(path, 'utf8').catch(() => '');
  const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  if (limit < ENOUGH)
    logger.warn('The limit of open files is low: with many containers logs and calls will fail', {
      limit,
      enough: ENOUGH,
      setting: 'LimitNOFILE= of the systemd unit, or ulimit -n',
    });
  else
    logger.debug(
      () => 'The limit of open files is high enough',
      () => ({ limit }),
    );
}
