import type { Check } from '../check';
import { effectiveKubelet, type KubeletFacts } from '../kubelet/facts';
import { USUAL_CONFIG } from '../kubelet/read';
import { fail, ok, warn, type Finding } from '../report';

const GATE = 'PodAndContainerStatsFromCRI';

/** Also in README.md. */
export const STATS_SNIPPET = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
featureGates:
  ${GATE}: true`;

/** Whether kubelet asks us for stats; without that, dashboards of the node stay empty (README.md). */
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
      `kubelet's configuration cannot be read, so its stats are unknown: ${problems.join('; ')}`,
      `Mend the file, and see that it has:\n${STATS_SNIPPET}`,
    );
  const where = file === '' ? "kubelet's configuration file" : file;
  if (from === '')
    return warn(
      `no kubelet runs here, and there is no ${USUAL_CONFIG}: whether kubelet will ask dockbridge for stats is unknown`,
      cure(USUAL_CONFIG),
    );
  const byFlag = effectiveKubelet({ args, configs: [] }).gates.get(GATE) === false;
  const byFile = configs.some(({ featureGates }) => featureGates[GATE] === true);
  const remark =
    byFlag && byFile ? `. --feature-gates on its command line switches off what ${where} switches on` : '';
  return warn(
    `KUBELET'S STATS ARE INCOMPLETE: the feature gate ${GATE} is off (${from}), so pod network, process counts and ` +
      `container labels are missing from /metrics/cadvisor, and kubectl top and autoscaling lag behind${remark}`,
    byFlag ? `Take ${GATE}=false out of kubelet's --feature-gates. ${cure(where)}` : cure(where),
  );
}

function cure(file: string): string {
  return (
    `In ${file}:\n${STATS_SNIPPET}\n` +
    'then: systemctl restart kubelet (restarts no pod). On a cluster of kubeadm also: kubectl -n kube-system edit configmap kubelet-config'
  );
}
