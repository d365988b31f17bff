import { forPerson, prints, silent, succeeds } from './check';
import { putCommand, undoCommand } from './place-file';
import { quoted } from './shell';
import { step, type Step, type StepFacts } from './step';
import { isActive, isInactive } from './unit-checks';

/** A node may have 110 pods, and each has 30 s to end. */
const PODS_SECONDS = 3_600;
/** How long the node may take to report its new runtime. */
const NODE_SECONDS = 300;

export function stopKubelet(): Step {
  return step(
    'stop-kubelet',
    'Stop the kubelet',
    'Otherwise the kubelet starts again what the next step removes. It is disabled until the target serves it, so that a reboot in between does not start it.',
    {
      commands: ['systemctl disable --now kubelet.service'],
      check: [isInactive(['kubelet.service'])],
      undo: ['systemctl enable --now kubelet.service'],
      undoCheck: [isActive('kubelet.service')],
    },
  );
}

export function removePods({ oldEndpoint }: StepFacts): Step {
  return step(
    'remove-pods',
    'Remove the pods that the drain left',
    'Pods of DaemonSets and static pods are removed through CRI, so that CNI gives back their addresses and host ports. Do not use docker rm for this. The kubelet makes them again on the target. ' +
      `Without dockbridge, \`crictl --timeout 2m --runtime-endpoint ${oldEndpoint} rmp --all --force\` does the same, but gives the containers no time to end: repeat the command until \`crictl pods\` shows none.`,
    {
      commands: [removePodsCommand(oldEndpoint)],
      check: [silent(`${removePodsCommand(oldEndpoint)} --dry-run`)],
      limitSeconds: PODS_SECONDS,
    },
  );
}

export function editKubelet({ files, kubeletConfig, backup: archive }: StepFacts): Step {
  const edited = files.filter(({ step: id }) => id === 'edit-kubelet');
  return step(
    'edit-kubelet',
    'Point the kubelet at the target',
    'Each file has a patch in patches/ for reading. Run the commands in the directory of this plan.',
    {
      commands: [...edited.map(putCommand), 'systemctl daemon-reload'],
      check: [
        forPerson(
          'grep -rs runtime-endpoint /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/crictl.yaml',
          'the new socket everywhere',
        ),
        ...(kubeletConfig === ''
          ? []
          : [forPerson(`grep -s containerRuntimeEndpoint ${quoted(kubeletConfig)}`, 'the new socket')]),
      ],
      undo: [...edited.map((file) => undoCommand(file, archive)), 'systemctl daemon-reload'],
      files: edited.map(({ path }) => path),
    },
  );
}

export function startKubelet({ node, target, endpoint }: StepFacts): Step {
  return step('start-kubelet', 'Start the kubelet', `The node reports the new runtime after some seconds.`, {
    commands: ['systemctl enable kubelet.service', 'systemctl restart kubelet.service'],
    check: [
      isActive('kubelet.service'),
      prints(
        `kubectl get node ${node} -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}'`,
        `${target}://.*`,
        { note: `${target}://…`, place: 'cluster', withinSeconds: NODE_SECONDS },
      ),
      succeeds(`kubectl wait --for=condition=Ready node/${node} --timeout=5m`, {
        place: 'cluster',
        withinSeconds: NODE_SECONDS,
      }),
    ],
    // The old runtime does not know the pods of the new one.
    undo: ['systemctl disable --now kubelet.service', removePodsCommand(endpoint)],
    undoCheck: [isInactive(['kubelet.service']), silent(`${removePodsCommand(endpoint)} --dry-run`)],
    limitSeconds: PODS_SECONDS,
  });
}

function removePodsCommand(endpoint: string): string {
  return `dockbridge migrate remove-pods --endpoint ${quoted(endpoint)}`;
}
