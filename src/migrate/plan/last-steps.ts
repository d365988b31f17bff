import { forPerson } from './check';
import { drainCommand } from './cluster-steps';
import { removalCommands } from './packages';
import { quoted } from './shell';
import { step, type Step, type StepFacts } from './step';

export function reboot({ keepDocker, node }: StepFacts): Step {
  return step(
    'reboot',
    'Reboot once',
    'Until then, rules of iptables and kernel settings that dockerd made are still there. A reboot shows whether the node works without them. The commands of kubectl run where it reaches the cluster.',
    {
      commands: [drainCommand(node), 'systemctl reboot', `kubectl uncordon ${node}   # after the reboot`],
      check: [
        // A Docker that stays makes its rules again.
        ...(keepDocker ? [] : [forPerson('iptables-save | grep -c DOCKER', '0')]),
        forPerson('sysctl net.ipv4.ip_forward', '1'),
      ],
      isManual: true,
    },
  );
}

export function cleanUp(facts: StepFacts): Step {
  const { keepDocker, packageTool, engineNamespaces } = facts;
  const { removed, kept } = facts.dataRoot;
  if (keepDocker)
    return step(
      'clean-up',
      'Remove Docker',
      'Docker stays for the containers that belong to no pod: there is nothing to remove.',
      { isManual: true },
    );
  const packages = removalCommands(packageTool);
  return step(
    'clean-up',
    'Remove Docker',
    "Do this last: afterwards there is no way back. Docker's volumes are deleted with its data: copy what you need from them first. " +
      (packages.length === 0
        ? 'Remove the packages of Docker and cri-dockerd first with the tool of your distribution, but not containerd, even if it was installed as a dependency.'
        : 'A tool that removes unused dependencies (`apt-get autoremove`) would remove containerd, too.') +
      (engineNamespaces.length === 0
        ? ''
        : " The Engine's images are in containerd, and kubelet does not see them: removing the namespaces gives their room back. If containerd says that a namespace is not empty, repeat its commands.") +
      (kept.length === 0 ? '' : ` Others use ${kept.join(', ')}: the directories on these paths stay.`),
    {
      commands: [
        ...packages,
        ...engineNamespaces.flatMap(namespaceRemoval),
        // The data must stay as long as the packages do.
        ...(removed.length === 0
          ? []
          : [`command -v dockerd || rm -rf --one-file-system ${removed.map(quoted).join(' ')}`]),
      ],
      check: [forPerson('df -h'), forPerson('crictl info', 'RuntimeReady is true')],
      isFinal: true,
      isManual: true,
    },
  );
}

/** Removes what refers to content and snapshots; containerd then collects what no other namespace refers to. */
function namespaceRemoval(namespace: string): string[] {
  const ctr = `ctr -n ${quoted(namespace)}`;
  return [
    `${ctr} containers ls -q | xargs -r ${ctr} containers rm`,
    `${ctr} images ls -q | xargs -r ${ctr} images rm --sync`,
    `${ctr} leases ls -q | xargs -r ${ctr} leases rm --sync`,
    // Many nodes have no plugins of Docker, and no namespace for them.
    `! ctr namespaces ls -q | grep -qx ${quoted(namespace)} || ctr namespaces rm ${quoted(namespace)}`,
  ];
}
