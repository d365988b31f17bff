import type { Check } from '../check';
import { ok, warn, type Finding } from '../report';

/** Whether the doctor may look at all. */
export const rights: Check = {
  id: 'rights',
  run: () => Promise.resolve([judgeRights(process.geteuid?.() ?? 0)]),
};

export function judgeRights(user: number): Finding {
  if (user === 0) return ok('the doctor runs as root');
  return warn(
    `the doctor runs as user ${user}: sockets and files of kubelet and the Engine may be closed to it`,
    'Run it as root.',
  );
}
