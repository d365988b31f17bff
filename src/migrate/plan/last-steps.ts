import { forPerson } from './check';
import { quoted } from './shell';
import { step, type Step, type StepFacts } from './step';

export function reboot({ keepDocker }: StepFacts): Step {
  return step(
    'reboot',
    'Reboot once',
    'Until then, rules of iptables and kernel settings that dockerd made are still there. Drain the node before. A reboot shows whether the node works without them.',
    {
      commands: ['systemctl reboot'],
      check: [
        // A Docker that stays makes its rules again.
        ...(keepDocker ? [] : [forPerson('iptables-save | grep -c DOCKER', '0')]),
        forPerson('sysctl net.ipv4.ip_forward', '1'),
      ],
      isManual: true,
    },
  );
}

/** Packages of Docker and cri-dockerd. The command removes those of them that are installed. */
const PACKAGES = 'docker-ce docker-ce-cli docker-ce-rootless-extras docker.io cri-dockerd';

export function cleanUp({ keepDocker, dataRoot: { removed, kept } }: StepFacts): Step {
  if (keepDocker)
    return step(
      'clean-up',
      'Remove Docker',
      'Docker stays for the containers that belong to no pod: there is nothing to remove.',
      { isManual: true },
    );
  // apt-get refuses the whole list when it does not know one name.
  const installed = `dpkg-query -W -f '\${db:Status-Status} \${Package}\\n' ${PACKAGES} 2>/dev/null | sed -n 's/^installed //p'`;
  const removal = removed.length === 0 ? '' : ` && rm -rf --one-file-system ${removed.map(quoted).join(' ')}`;
  return step(
    'clean-up',
    'Remove Docker',
    "Do this last: afterwards there is no way back. Docker's volumes are deleted with its data: copy what you need from them first. " +
      '`apt-get autoremove` would remove containerd, too. On a system without apt-get, remove the packages with its own tool.' +
      (kept.length === 0 ? '' : ` Others use ${kept.join(', ')}: the directories on these paths stay.`),
    {
      commands: [`apt-get remove $(${installed})${removal}`],
      check: [forPerson('df -h'), forPerson('crictl info', 'RuntimeReady is true')],
      isFinal: true,
      isManual: true,
    },
  );
}
