import type { PlannedFile } from './node-file';
import { quoted } from './shell';
import { step, type Step, type StepFacts } from './step';

/**
 * Returns the steps in their order. When the Engine runs on the containerd that becomes the target, that containerd gets its new
 * configuration only after the drain: a restart of it disturbs the Engine.
 */
export function stepsOf(facts: StepFacts): Step[] {
  const target = [writeTarget(facts), startTarget(facts)];
  const early = facts.target === 'cri-o' || !facts.isContainerdShared;
  return [
    backup(facts),
    install(facts),
    ...(early ? target : []),
    images(facts),
    drain(facts),
    ...(facts.hasKubelet ? [stopKubelet()] : []),
    removePods(facts),
    stopEngine(facts),
    ...(early ? [] : target),
    ...enableMetrics(facts),
    ...(facts.hasKubelet ? [editKubelet(facts), startKubelet(facts)] : []),
    annotate(facts),
    verify(facts),
    uncordon(facts),
    reboot(facts),
    cleanUp(facts),
  ];
}

function backup({ keptFiles, backup: archive }: StepFacts): Step {
  return step(
    'backup',
    'Keep a copy of the configuration',
    'Every later step can be taken back with these files. The archive may hold passwords: only root can read it. ' +
      'The command fails if the archive exists, because that one has the files from before the first attempt.',
    {
      commands: [
        'mkdir -p /var/backups',
        // noclobber: the shell refuses to open a file that exists.
        `(umask 077; set -C; tar -C / -cz ${keptFiles.map((path) => quoted(path.slice(1))).join(' ')} > ${archive})`,
      ],
      check: [`tar -tzf ${archive}`],
    },
  );
}

function install({ target, isContainerdShared, unit }: StepFacts): Step {
  const isThere = target === 'containerd' && isContainerdShared;
  return step(
    'install',
    isThere ? 'Check the version of containerd' : `Install ${target}`,
    isThere
      ? 'The Engine runs on this containerd, so it is installed. It must be 2.1 or newer.'
      : `${target === 'containerd' ? 'It must be containerd 2.1 or newer.' : 'Its minor version must be that of the cluster.'} Do not remove any package of Docker yet. If the name of the package differs on your distribution, use that.`,
    {
      commands: isThere
        ? []
        : [`apt-get install --no-remove ${target === 'containerd' ? 'containerd' : 'cri-o'}`],
      check: [
        target === 'containerd'
          ? 'containerd --version   # 2.1 or newer: an older one does not start with version = 3'
          : 'crio --version',
      ],
      undo: isThere ? [] : [`systemctl disable --now ${unit}.service`],
    },
  );
}

function writeTarget({
  files,
  target,
  certificates,
  isContainerdShared,
  mainPath,
  backup: archive,
}: StepFacts): Step {
  const written = files.filter(({ step: id }) => id === 'write-target');
  return step(
    'write-target',
    `Write the configuration of ${target}`,
    'Run the commands in the directory of this plan.' +
      (certificates.commands.length > 0
        ? ' The certificates of registries are copied, so that they are still there when /etc/docker is removed. A certificate that the target has already stays.'
        : ''),
    {
      commands: [...certificates.commands, ...written.map(putCommand), 'systemctl daemon-reload'],
      check:
        target === 'containerd'
          ? [
              `containerd --config ${quoted(mainPath)} config dump >/dev/null   # prints no line with "Ignoring unknown key"`,
            ]
          : ['crio config >/dev/null   # prints no error'],
      undo: [
        ...written.map((file) => undoCommand(file, archive)),
        ...certificates.undo,
        'systemctl daemon-reload',
        ...(target === 'containerd' && isContainerdShared ? ['systemctl restart containerd.service'] : []),
      ],
      files: written.map(({ path }) => path),
    },
  );
}

function startTarget({ unit, endpoint, isContainerdShared, target }: StepFacts): Step {
  const isShared = target === 'containerd' && isContainerdShared;
  return step(
    'start-target',
    `Start ${target}`,
    'The target must be ready before the kubelet uses it. NetworkReady is false until there is a CNI configuration.',
    {
      commands: [`systemctl enable ${unit}.service`, `systemctl restart ${unit}.service`],
      check: [
        `crictl --runtime-endpoint ${endpoint} info   # RuntimeReady and NetworkReady are true`,
        `crictl --runtime-endpoint ${endpoint} version`,
      ],
      // The undo of write-target restarts a shared containerd, after the old files are back.
      undo: isShared ? [] : [`systemctl disable --now ${unit}.service`],
    },
  );
}

function images({ endpoint, target, isContainerdShared }: StepFacts): Step {
  // CRI may still be off in a containerd that gets its configuration only after the drain.
  const isLate = target === 'containerd' && isContainerdShared;
  return step(
    'images',
    'Carry the images',
    'Images that exist only on this node are lost otherwise, and the others need not be pulled again. The node serves on meanwhile.',
    {
      commands: [
        target === 'containerd'
          ? `dockbridge migrate images --to ${endpoint} --used`
          : `dockbridge migrate images --to ${endpoint} --used   # needs skopeo`,
      ],
      check: [
        isLate
          ? `ctr --address ${endpoint.replace(/^unix:\/\//, '')} -n k8s.io images ls`
          : `crictl --image-endpoint ${endpoint} images`,
      ],
    },
  );
}

function drain({ node, isControlPlane }: StepFacts): Step {
  return step(
    'drain',
    'Drain the node',
    'Pods move to other nodes. --delete-emptydir-data deletes the data of emptyDir volumes.' +
      (isControlPlane
        ? ' This is a node of the control plane: static pods stay. Check that etcd has a quorum without this node, and migrate one such node at a time.'
        : ''),
    {
      place: 'cluster',
      commands: [
        `kubectl cordon ${node}`,
        `kubectl drain ${node} --ignore-daemonsets --delete-emptydir-data`,
      ],
      check: [
        `kubectl get pods -A --field-selector spec.nodeName=${node}   # only pods of DaemonSets and static pods`,
      ],
      undo: [`kubectl uncordon ${node}`],
    },
  );
}

function stopKubelet(): Step {
  return step(
    'stop-kubelet',
    'Stop the kubelet',
    'Otherwise the kubelet starts again what the next step removes.',
    {
      commands: ['systemctl stop kubelet.service'],
      check: ['systemctl is-active kubelet.service   # inactive'],
      undo: ['systemctl start kubelet.service'],
    },
  );
}

function removePods({ oldEndpoint }: StepFacts): Step {
  return step(
    'remove-pods',
    'Remove the pods that the drain left',
    'Pods of DaemonSets and static pods are removed through CRI, so that CNI gives back their addresses and host ports. Do not use docker rm for this. The kubelet makes them again on the target.',
    {
      commands: [`crictl --runtime-endpoint ${oldEndpoint} rmp --all --force`],
      check: [`crictl --runtime-endpoint ${oldEndpoint} pods -q   # prints nothing`],
      undo: [],
    },
  );
}

function stopEngine({ oldUnits: units, keepDocker }: StepFacts): Step {
  const upwards = [...units].reverse();
  return step(
    'stop-engine',
    keepDocker ? 'Stop the CRI bridge' : 'Stop the CRI bridge and Docker',
    keepDocker
      ? 'Docker goes on for the containers that belong to no pod.'
      : 'The sockets are disabled, too: a connection to docker.socket would start Docker again. Nothing is deleted.',
    {
      commands: [`systemctl disable --now ${units.join(' ')}`],
      check: [`systemctl is-active ${units.join(' ')}   # inactive for each`],
      undo: [`systemctl enable --now ${upwards.join(' ')}`],
    },
  );
}

/** The target cannot listen where dockerd does, so that its metrics begin when dockerd has stopped. */
function enableMetrics({ files, unit, keepDocker, backup: archive }: StepFacts): Step[] {
  const written = files.filter(({ step: id }) => id === 'enable-metrics');
  if (written.length === 0) return [];
  return [
    step(
      'enable-metrics',
      'Enable the metrics',
      keepDocker
        ? `Docker stays and listens on the same address, so that this step is done by hand. Change the address in ${written.map(({ path }) => `files${path}`).join(', ')}, put the file in its place, and restart ${unit}.service.`
        : 'Docker had this address until now. Run the commands in the directory of this plan.',
      {
        commands: keepDocker ? [] : [...written.map(putCommand), `systemctl restart ${unit}.service`],
        check: [`systemctl is-active ${unit}.service   # active`],
        undo: [...written.map((file) => undoCommand(file, archive)), `systemctl restart ${unit}.service`],
        files: written.map(({ path }) => path),
      },
    ),
  ];
}

function editKubelet({ files, kubeletConfig, backup: archive }: StepFacts): Step {
  const edited = files.filter(({ step: id }) => id === 'edit-kubelet');
  return step(
    'edit-kubelet',
    'Point the kubelet at the target',
    'Each file has a patch in patches/ for reading. Run the commands in the directory of this plan.',
    {
      commands: [...edited.map(putCommand), 'systemctl daemon-reload'],
      check: [
        'grep -rs runtime-endpoint /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/crictl.yaml   # the new socket everywhere',
        ...(kubeletConfig === '' ? [] : [`grep -s containerRuntimeEndpoint ${quoted(kubeletConfig)}`]),
      ],
      undo: [...edited.map((file) => undoCommand(file, archive)), 'systemctl daemon-reload'],
      files: edited.map(({ path }) => path),
    },
  );
}

function startKubelet({ node, target, endpoint }: StepFacts): Step {
  return step('start-kubelet', 'Start the kubelet', `The node reports the new runtime after some seconds.`, {
    commands: ['systemctl start kubelet.service'],
    check: [
      `kubectl get node ${node} -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}'   # ${target}://…`,
      `kubectl wait --for=condition=Ready node/${node} --timeout=5m`,
    ],
    // The old runtime does not know the pods of the new one.
    undo: ['systemctl stop kubelet.service', `crictl --runtime-endpoint ${endpoint} rmp --all --force`],
  });
}

function annotate({ node, endpoint, oldEndpoint }: StepFacts): Step {
  const line = (value: string) =>
    `kubectl annotate node ${node} --overwrite kubeadm.alpha.kubernetes.io/cri-socket=${value}`;
  return step(
    'annotate',
    'Tell kubeadm',
    'Only for clusters made with kubeadm. Without the annotation, `kubeadm upgrade` and `kubeadm reset` look for the old socket.',
    {
      place: 'cluster',
      commands: [line(endpoint)],
      check: [`kubectl get node ${node} -o yaml | grep cri-socket`],
      undo: [line(oldEndpoint)],
    },
  );
}

function verify({ node, endpoint }: StepFacts): Step {
  return step(
    'verify',
    'Verify',
    'Every pod of the node must run, and no container may restart again and again.',
    {
      commands: [
        `crictl --runtime-endpoint ${endpoint} pods`,
        `kubectl get pods -A -o wide --field-selector spec.nodeName=${node}`,
      ],
      check: [
        'journalctl -u kubelet.service --since -5min -p err   # nothing about the runtime or the network',
      ],
    },
  );
}

function uncordon({ node }: StepFacts): Step {
  return step(
    'uncordon',
    'Give the node back to the cluster',
    'Watch the node for a day before the next steps.',
    {
      place: 'cluster',
      commands: [`kubectl uncordon ${node}`],
      check: [`kubectl get node ${node}   # Ready`],
      undo: [`kubectl cordon ${node}`],
    },
  );
}

function reboot({ keepDocker }: StepFacts): Step {
  return step(
    'reboot',
    'Reboot once',
    'Until then, rules of iptables and kernel settings that dockerd made are still there. Drain the node before. A reboot shows whether the node works without them.',
    {
      commands: ['systemctl reboot'],
      check: [
        // A Docker that stays makes its rules again.
        ...(keepDocker ? [] : ['iptables-save | grep -c DOCKER   # 0']),
        'sysctl net.ipv4.ip_forward   # 1',
      ],
    },
  );
}

/** Packages of Docker and cri-dockerd. The command removes those of them that are installed. */
const PACKAGES = 'docker-ce docker-ce-cli docker-ce-rootless-extras docker.io cri-dockerd';

function cleanUp({ keepDocker, dataRoot: { removed, kept } }: StepFacts): Step {
  if (keepDocker)
    return step(
      'clean-up',
      'Remove Docker',
      'Docker stays for the containers that belong to no pod: there is nothing to remove.',
      {},
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
      check: ['df -h', 'crictl info   # RuntimeReady is true'],
      isFinal: true,
    },
  );
}

function putCommand({ path, mode, owner }: PlannedFile): string {
  const by = owner === undefined ? '' : ` -o ${owner.uid} -g ${owner.gid}`;
  return `install -D -m ${mode.toString(8).padStart(4, '0')}${by} ${quoted(`files${path}`)} ${quoted(path)}`;
}

function undoCommand({ path, before }: PlannedFile, archive: string): string {
  return before === undefined ? `rm -f ${quoted(path)}` : `tar -C / -xzf ${archive} ${quoted(path.slice(1))}`;
}
