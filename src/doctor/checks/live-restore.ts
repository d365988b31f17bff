import type { Check } from '../check';
import { ok, warn, type Finding } from '../report';

/** Whether pods outlive dockerd. */
export const liveRestore: Check = {
  id: 'live-restore',
  run: async ({ info }) => [judgeLiveRestore((await info()).answer.LiveRestoreEnabled ?? false)],
};

export function judgeLiveRestore(isOn: boolean): Finding {
  if (isOn) return ok('containers outlive a restart of dockerd (live-restore)');
  return warn(
    'live-restore is off: each restart or update of dockerd ends all pods of the node',
    '"live-restore": true in daemon.json, then: systemctl reload docker (ends no pod)',
  );
}
