import { flagOf } from '../../lib/flags';
import { isSameSocket } from '../../node/disk/socket-file';
import type { Check } from '../check';
import { effectiveKubelet, USUAL_CONFIG, type KubeletFacts } from '../kubelet-facts';
import { fail, ok, warn, type Finding } from '../report';

const GATE = 'PodAndContainerStatsFromCRI';

/** The settings that make kubelet ask dockbridge for stats. README.md shows the same snippet. */
export const STATS_SNIPPET = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
featureGates:
  ${GATE}: true`;

/** Checks whether kubelet asks us for stats. If it does not, dashboards of the node are incomplete (README.md). */
export const kubeletStats: Check = {
  id: 'kubelet-stats',
  run: async ({ kubelet }) => [judgeStats(await kubelet())],
};

export function judgeStats(kubelet: KubeletFacts): Finding {
  const { from, args, file, configs, problems } = kubelet;
  const { gates } = effectiveKubelet(kubelet);
  const isOn = gates.get(GATE) ?? gates.get('AllAlpha') ?? false;
  if (isOn) return ok(`kubelet asks dockbridge for stats: ${GATE} is on (${from})`);
  if (problems.length > 0)
    return fail(
      `kubelet's configuration cannot be read, so it is unknown whether kubelet asks dockbridge for stats: ${problems.join('; ')}`,
      `Fix the file, and make sure that it contains:\n${STATS_SNIPPET}`,
    );
  const where = file === '' ? "kubelet's configuration file" : file;
  if (from === '')
    return warn(
      `no kubelet is running here, and ${USUAL_CONFIG} does not exist: kubelet's stats, endpoint and cgroup driver are unknown`,
      statsCure(USUAL_CONFIG),
    );
  const byFlag = effectiveKubelet({ args, configs: [] }).gates.get(GATE) === false;
  const byFile = configs.some(({ featureGates }) => featureGates[GATE] === true);
  const remark =
    byFlag && byFile ? `. --feature-gates on its command line switches off what ${where} switches on` : '';
  return warn(
    `KUBELET'S STATS ARE INCOMPLETE: the feature gate ${GATE} is off (${from}), so pod network, process counts and ` +
      `container labels are missing from /metrics/cadvisor, and kubectl top and autoscaling lag behind${remark}`,
    byFlag ? `Remove ${GATE}=false from kubelet's --feature-gates. ${statsCure(where)}` : statsCure(where),
  );
}

function statsCure(file: string): string {
  return (
    `In ${file}:\n${STATS_SNIPPET}\n` +
    'then: systemctl restart kubelet (restarts no pod). On a cluster of kubeadm also: kubectl -n kube-system edit configmap kubelet-config'
  );
}

/** Checks whether kubelet uses dockbridge as its runtime. */
export const kubeletEndpoint: Check = {
  id: 'kubelet-endpoint',
  run: async ({ kubelet, settings }) => [judgeEndpoint(await kubelet(), settings.endpoint)],
};

/**
 * Judges whether kubelet connects to dockbridge's endpoint.
 * @param endpoint the endpoint on which dockbridge listens.
 */
export function judgeEndpoint(kubelet: KubeletFacts, endpoint: string): Finding {
  const { from, isRunning, args, problems } = kubelet;
  const wanted = `Start kubelet with --container-runtime-endpoint=${endpoint}, or give dockbridge kubelet's endpoint.`;
  if (flagOf(args, 'container-runtime') === 'docker')
    return fail(
      `kubelet uses its built-in dockershim (--container-runtime=docker; ${from})`,
      `Start it with --container-runtime=remote --container-runtime-endpoint=${endpoint}: docs/switching.md explains how to switch a node.`,
    );
  const { endpoint: asked } = effectiveKubelet(kubelet);
  if (asked === '' && from === '')
    return ok('not compared, because no kubelet was found (see kubelet-stats)', wanted);
  if (asked === '' && problems.length > 0)
    return warn(`not checked: ${problems.join('; ')}`, 'Fix the file, then run the doctor again.');
  if (asked === '' && isRunning)
    return fail(`kubelet has no runtime endpoint, so it uses containerd's (${from})`, wanted);
  if (asked === '') return warn(`${from} names no runtime endpoint`, wanted);
  if (endpoint.startsWith('fd:'))
    return warn(
      `kubelet uses ${asked}; dockbridge has a socket from systemd (${endpoint}), which may be a different one`,
      'Compare it with ListenStream= of the socket unit, and give the doctor --container-runtime-endpoint unix:///that/path.',
    );
  if (isSameSocket(asked, endpoint))
    return ok(`kubelet uses ${asked}, on which dockbridge listens (${from})`);
  return fail(`kubelet uses ${asked} (${from}), but dockbridge listens on ${endpoint}`, wanted);
}

/** From Kubernetes 1.31 on, kubelet asks the runtime for the cgroup driver, unless this feature gate is off. */
const ASKS_RUNTIME = 'KubeletCgroupDriverFromCRI';
const DEFAULT_DRIVER = 'cgroupfs';

/** Checks whether kubelet and the Engine use the same cgroup driver. */
export const cgroupDriver: Check = {
  id: 'cgroup-driver',
  run: async ({ kubelet, info }) => {
    const { answer } = await info();
    return [judgeDriver(await kubelet(), answer.CgroupDriver)];
  },
};

/**
 * Judges whether kubelet and the Engine use the same cgroup driver.
 * @param driver the Engine's cgroup driver.
 */
export function judgeDriver(kubelet: KubeletFacts, driver: string): Finding {
  const { from, file, problems } = kubelet;
  const { cgroupDriver: told, gates } = effectiveKubelet(kubelet);
  const own = told === '' ? DEFAULT_DRIVER : told;
  const inKubelet = `Set "cgroupDriver: ${driver}" in ${file === '' ? "kubelet's configuration" : file}`;
  // The check kubelet-stats alone warns when no kubelet is found.
  if (from === '')
    return ok(
      `the Engine uses ${driver}; no kubelet was found to compare it with (see kubelet-stats)`,
      `${inKubelet}.`,
    );
  const cure =
    `${inKubelet} and restart kubelet, or set ` +
    `"exec-opts": ["native.cgroupdriver=${own}"] in daemon.json and restart the Engine. Drain the node first, because the groups of running pods stay where they are.`;
  if (told === '' && problems.length > 0)
    return warn(`not checked: ${problems.join('; ')}`, 'Fix the file, then run the doctor again.');
  if (own === driver) return ok(`kubelet and the Engine use ${driver}`);
  if (told !== '' || gates.get(ASKS_RUNTIME) === false)
    return fail(
      `kubelet uses the cgroup driver ${own} (${from}), but the Engine uses ${driver}: kubelets up to 1.30, and all with ${ASKS_RUNTIME}=false, ` +
        "choose group names that the Engine refuses, so no pod starts; later kubelets use the Engine's driver",
      cure,
    );
  return warn(
    `kubelet has no cgroup driver configured (${from}), and the Engine uses ${driver}: kubelets from 1.31 on ask dockbridge for the driver, but earlier kubelets use ${own}, so no pod starts`,
    cure,
  );
}
