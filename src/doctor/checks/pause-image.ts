import { access } from 'node:fs/promises';
import { hasStatus } from '../../docker/errors';
import type { Check } from '../check';
import { ok, warn, type Finding } from '../report';
import type { Sources } from '../sources';

/** dockbridge's own (src/server/image/sandbox-image.ts), which it imports where the configured one cannot be had. */
const OWN = 'dockbridge.local/pause:1';

/** Whether there is an image to make sandboxes of. */
export const pauseImage: Check = {
  id: 'pause-image',
  run: async ({ docker, settings, pauseTar }) => {
    const configured = settings.podInfraContainerImage;
    const names = [...new Set([configured, OWN])];
    const there = await Promise.all(names.map((name) => isPresent(docker, name)));
    const canImport = await access(pauseTar).then(
      () => true,
      () => false,
    );
    return [judgePauseImage({ configured, present: names.find((_, at) => there[at]), canImport })];
  },
};

async function isPresent(docker: Sources['docker'], name: string): Promise<boolean> {
  try {
    await docker.inspectImage(name);
    return true;
  } catch (error) {
    if (hasStatus(error, 404)) return false;
    throw error;
  }
}

export function judgePauseImage({
  configured,
  present,
  canImport,
}: {
  readonly configured: string;
  readonly present: string | undefined;
  readonly canImport: boolean;
}): Finding {
  if (present !== undefined) return ok(`the image of sandboxes is here: ${present}`);
  if (canImport)
    return ok(
      `the first pod pulls ${configured}, or else imports the pause image that comes with dockbridge`,
    );
  return warn(
    `${configured} is not here, and this dockbridge came without a pause image of its own: without the registry no pod starts`,
    `docker pull ${configured}, or build dockbridge with make build`,
  );
}
