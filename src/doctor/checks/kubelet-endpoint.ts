import { flagOf } from '../../lib/flags';
import { isSameSocket } from '../../node/disk/socket-file';
import type { Check } from '../check';
import { effectiveKubelet, type KubeletFacts } from '../kubelet/facts';
import { fail, ok, warn, type Finding } from '../report';

/** Whether kubelet asks us at all. */
export const kubeletEndpoint: Check = {
  id: 'kubelet-endpoint',
  run: async ({ kubelet, settings }) => [judgeEndpoint(await kubelet(), settings.endpoint)],
};

/** @param endpoint where dockbridge listens. */
export function judgeEndpoint(kubelet: KubeletFacts, endpoint: string): Finding {
  const { from, isRunning, args, problems } = kubelet;
  const wanted = `Start kubelet with --container-runtime-endpoint=${endpoint}, or give dockbridge the endpoint that kubelet has.`;
  if (flagOf(args, 'container-runtime') === 'docker')
    return fail(
      `kubelet uses its built-in dockershim (--container-runtime=docker; ${from})`,
      `Start it with --container-runtime=remote --container-runtime-endpoint=${endpoint}: docs/switching.md says how a node is switched.`,
    );
  const { endpoint: asked } = effectiveKubelet(kubelet);
  if (asked === '' && from === '')
    return warn('no kubelet was found, so nothing is known of its endpoint', wanted);
  if (asked === '' && problems.length > 0)
    return warn(`not checked: ${problems.join('; ')}`, 'Mend the file, and run the doctor again.');
  if (asked === '' && isRunning)
    return fail(`kubelet was told no runtime endpoint, so it asks containerd's (${from})`, wanted);
  if (asked === '') return warn(`${from} names no runtime endpoint`, wanted);
  if (endpoint.startsWith('fd:'))
    return warn(
      `kubelet asks ${asked}; dockbridge has a socket of systemd's (${endpoint}), which may be another`,
      'Compare it with ListenStream= of the socket unit, and give the doctor --container-runtime-endpoint unix:///that/path.',
    );
  if (isSameSocket(asked, endpoint)) return ok(`kubelet asks ${asked}, where dockbridge listens (${from})`);
  return fail(`kubelet asks ${asked} (${from}); dockbridge listens on ${endpoint}`, wanted);
}
