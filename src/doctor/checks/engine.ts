import { messageOf } from '../../lib/errors';
import type { EngineFacts } from '../../store/records';
import { hasNetworkDeadlock, isAtLeast, toFacts } from '../../translate/shared/engine-facts';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** Docker 20.10's. */
const OLDEST_API = '1.41';

/** Whether the Engine answers, and which one it is. */
export const engine: Check = {
  id: 'engine',
  run: async ({ version, info, settings }) => {
    const endpoint = settings.dockerEndpoint || 'DOCKER_HOST';
    const [who, what] = await Promise.allSettled([version(), info()]);
    if (who.status === 'rejected') return [judgeSilence(endpoint, messageOf(who.reason))];
    if (what.status === 'rejected') return [judgeHalf(who.value.Version, messageOf(what.reason))];
    return [judgeEngine(endpoint, toFacts(who.value, what.value.answer))];
  },
};

export function judgeSilence(endpoint: string, why: string): Finding {
  return fail(
    `${endpoint}: ${why}`,
    'systemctl status docker; journalctl -u docker. Is --docker-endpoint right, and may this user open the socket?',
  );
}

export function judgeHalf(version: string, why: string): Finding {
  return fail(
    `Docker Engine ${version} answers, but does not say what it is: ${why}`,
    'Look what dockerd waits for: plugins, a storage driver, a dead disk. Else: systemctl restart docker',
  );
}

export function judgeEngine(endpoint: string, facts: EngineFacts): Finding {
  const { engineVersion, apiVersion, storageDriver, containerdStore, rootDir, cgroupVersion } = facts;
  const images = containerdStore ? `${storageDriver}, images in containerd's store` : storageDriver;
  const found = `Docker Engine ${engineVersion} (API ${apiVersion}) at ${endpoint}: ${images}, data in ${rootDir}, cgroup v${cgroupVersion} with ${facts.cgroupDriver}`;
  if (!isAtLeast(apiVersion, OLDEST_API))
    return warn(
      `${found}. It is older than 20.10, the oldest that dockbridge was tried with`,
      'Update the Engine.',
    );
  if (hasNetworkDeadlock(engineVersion))
    return ok(found, 'Its networks can deadlock (moby/moby#42545): 20.10.27 and later are mended.');
  return ok(found);
}
