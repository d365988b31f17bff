import { forPerson, prints, succeeds } from './check';
import { patternOf } from './pattern';
import { step, type Step, type StepFacts } from './step';

/** The id of the step before which no pod may be removed. */
export const DRAIN = 'drain';
/** An eviction waits for disruption budgets. */
const DRAIN_SECONDS = 3_600;

export function drain({ node, isControlPlane }: StepFacts): Step {
  return step(
    DRAIN,
    'Drain the node',
    'Pods move to other nodes. --delete-emptydir-data deletes the data of emptyDir volumes. ' +
      'kubectl refuses when a pod has no controller: move such a pod yourself, or add --force, which deletes the pod for good.' +
      (isControlPlane
        ? ' This is a node of the control plane: static pods stay. Check that etcd has a quorum without this node, and migrate one such node at a time. ' +
          'If this is the only one, the API server ends with the step remove-pods, and kubectl answers again after the step start-kubelet.'
        : ''),
    {
      place: 'cluster',
      commands: [`kubectl cordon ${node}`, drainCommand(node)],
      check: [
        forPerson(
          `kubectl get pods -A --field-selector spec.nodeName=${node}`,
          'only pods of DaemonSets and static pods',
          'cluster',
        ),
      ],
      undo: [`kubectl uncordon ${node}`],
      limitSeconds: DRAIN_SECONDS,
    },
  );
}

export function drainCommand(node: string): string {
  return `kubectl drain ${node} --ignore-daemonsets --delete-emptydir-data`;
}

export function annotate({ node, endpoint, oldEndpoint }: StepFacts): Step {
  const line = (value: string) =>
    `kubectl annotate node ${node} --overwrite kubeadm.alpha.kubernetes.io/cri-socket=${value}`;
  return step(
    'annotate',
    'Tell kubeadm',
    'Only for clusters made with kubeadm. Without the annotation, `kubeadm upgrade` and `kubeadm reset` look for the old socket.',
    {
      place: 'cluster',
      commands: [line(endpoint)],
      check: [
        prints(
          `kubectl get node ${node} -o jsonpath='{.metadata.annotations.kubeadm\\.alpha\\.kubernetes\\.io/cri-socket}'`,
          patternOf(endpoint),
          { note: endpoint, place: 'cluster' },
        ),
      ],
      undo: [line(oldEndpoint)],
    },
  );
}

export function uncordon({ node }: StepFacts): Step {
  return step(
    'uncordon',
    'Give the node back to the cluster',
    'Watch the node for a day before the next steps.',
    {
      place: 'cluster',
      commands: [`kubectl uncordon ${node}`],
      check: [succeeds(`kubectl wait --for=condition=Ready node/${node} --timeout=5m`, { place: 'cluster' })],
      undo: [`kubectl cordon ${node}`],
    },
  );
}
