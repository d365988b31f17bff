import type { Check } from '../check';
import { effectiveKubelet, type KubeletFacts } from '../kubelet/facts';
import { fail, ok, warn, type Finding } from '../report';

/** From Kubernetes 1.31 on kubelet asks the runtime, unless this gate is off. */
const ASKS_RUNTIME = 'KubeletCgroupDriverFromCRI';
const DEFAULT_DRIVER = 'cgroupfs';

/** Whether kubelet and the Engine manage control groups the same way. */
export const cgroupDriver: Check = {
  id: 'cgroup-driver',
  run: async ({ kubelet, info }) => {
    const { answer } = await info();
    return [judgeDriver(await kubelet(), answer.CgroupDriver)];
  },
};

/** @param driver the Engine's. */
export function judgeDriver(kubelet: KubeletFacts, driver: string): Finding {
  const { from, file, problems } = kubelet;
  const { cgroupDriver: told, gates } = effectiveKubelet(kubelet);
  const own = told === '' ? DEFAULT_DRIVER : told;
  const cure =
    `Set "cgroupDriver: ${driver}" in ${file === '' ? "kubelet's configuration" : file} and restart kubelet, or set ` +
    `"exec-opts": ["native.cgroupdriver=${own}"] in daemon.json and restart the Engine. Drain the node first: the groups of running pods stay where they are.`;
  if (from === '') return warn(`the Engine uses ${driver}; no kubelet was found to compare it with`, cure);
  if (told === '' && problems.length > 0)
    return warn(`not checked: ${problems.join('; ')}`, 'Mend the file, and run the doctor again.');
  if (own === driver) return ok(`kubelet and the Engine use ${driver}`);
  if (told !== '' || gates.get(ASKS_RUNTIME) === false)
    return fail(
      `kubelet uses the cgroup driver ${own} (${from}), the Engine ${driver}: kubelets up to 1.30, and all with ${ASKS_RUNTIME}=false, ` +
        'name groups that the Engine refuses, and no pod starts; later ones take that of the Engine',
      cure,
    );
  return warn(
    `kubelet was told no cgroup driver (${from}), the Engine uses ${driver}: kubelets from 1.31 on ask dockbridge for it, earlier ones use ${own}, and no pod starts`,
    cure,
  );
}
