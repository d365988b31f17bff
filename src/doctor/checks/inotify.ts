import { watch } from 'node:fs';
import { errnoOf } from '../../lib/errors';
import { readText } from '../../node/disk/files';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** The kernel's own defaults: a node that has less was made so by somebody. */
const FEW_INSTANCES = 128;
const FEW_WATCHES = 8192;
const CURE =
  'In /etc/sysctl.d/90-inotify.conf: fs.inotify.max_user_instances = 8192 and fs.inotify.max_user_watches = 524288, then: sysctl --system';

export interface InotifyFacts {
  /** What each user may have; undefined where the kernel does not tell. */
  readonly instances: number | undefined;
  readonly watches: number | undefined;
  /** The errno of one more instance and watch; '' when there was room. */
  readonly refused: string;
}

/** Whether this user can watch one more directory, as dockbridge does for each log and for CNI. */
export const inotify: Check = {
  id: 'inotify',
  run: async () => {
    const limit = async (name: string): Promise<number | undefined> => {
      const text = await readText(`/proc/sys/fs/inotify/${name}`);
      return text === undefined ? undefined : Number(text);
    };
    const [instances, watches] = await Promise.all([limit('max_user_instances'), limit('max_user_watches')]);
    return [judgeInotify({ instances, watches, refused: tryToWatch() })];
  },
};

function tryToWatch(): string {
  try {
    watch('/', { persistent: false }).close();
    return '';
  } catch (error) {
    return errnoOf(error) ?? 'unknown error';
  }
}

export function judgeInotify({ instances, watches, refused }: InotifyFacts): Finding {
  const limits = `max_user_instances ${instances ?? 'unknown'}, max_user_watches ${watches ?? 'unknown'}`;
  if (refused !== '')
    return fail(
      `no directory can be watched any more (${refused}; ${limits}): logs and CNI's configuration are looked at once in a while only, and kubelet may not start`,
      CURE,
    );
  if ((instances ?? Infinity) < FEW_INSTANCES || (watches ?? Infinity) < FEW_WATCHES)
    return warn(`few directories can be watched: ${limits}`, CURE);
  return ok(`directories can be watched: ${limits}`);
}
