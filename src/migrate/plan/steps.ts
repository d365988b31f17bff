import type { Target } from '../mapping/row';
import type { PlannedFile } from './node-file';

/** One step of a plan, which a person does by hand. */
export interface Step {
  readonly id: string;
  readonly title: string;
  /** Why the step is there and what to pay attention to, in whole sentences. */
  readonly why: string;
  /** Where the commands run: on this node, or wherever kubectl reaches the cluster. */
  readonly place: 'node' | 'cluster';
  readonly commands: readonly string[];
  /** Commands that show that the step succeeded, with what they print in a comment. */
  readonly check: readonly string[];
  /** Commands that take the step back; empty when there is nothing to take back. */
  readonly undo: readonly string[];
  /** The files that the step puts in place. */
  readonly files: readonly string[];
  /** Whether there is no way back after the step. */
  readonly isFinal: boolean;
}

export interface StepFacts {
  readonly target: Target;
  readonly unit: 'containerd' | 'crio';
  readonly endpoint: string;
  readonly oldEndpoint: string;
  readonly bridge: 'dockbridge' | 'cri-docker';
  readonly hostname: string;
  readonly files: readonly PlannedFile[];
  readonly keepDocker: boolean;
  readonly isContainerdShared: boolean;
  readonly isControlPlane: boolean;
  readonly hasCertificates: boolean;
  readonly hasKubelet: boolean;
  readonly keptFiles: readonly string[];
  /** The Engine's data-root. */
  readonly dockerRoot: string;
}

const BACKUP = '/var/backups/dockbridge-migrate.tar.gz';

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
    ...(facts.hasKubelet ? [editKubelet(facts), startKubelet(facts)] : []),
    annotate(facts),
    verify(facts),
    uncordon(facts),
    reboot(facts),
    cleanUp(facts),
  ];
}

function step(
  id: string,
  title: string,
  why: string,
  rest: Partial<Omit<Step, 'id' | 'title' | 'why'>>,
): Step {
  return {
    id,
    title,
    why,
    place: 'node',
    commands: [],
    check: [],
    undo: [],
    files: [],
    isFinal: false,
    ...rest,
  };
}

function backup({ keptFiles }: StepFacts): Step {
  return step(
    'backup',
    'Keep a copy of the configuration',
    'Every later step can be taken back with these files. The archive may hold passwords: only root can read it.',
    {
      commands: [
        'mkdir -p /var/backups',
        `(umask 077; tar -C / -czf ${BACKUP} ${keptFiles.map((path) => quoted(path.slice(1))).join(' ')})`,
      ],
      check: [`tar -tzf ${BACKUP}`],
      undo: [`rm -f ${BACKUP}`],
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
      check: [`${unit} --version`],
      undo: isThere ? [] : [`systemctl disable --now ${unit}.service`],
    },
  );
}

function writeTarget({ files, target, hasCertificates }: StepFacts): Step {
  const written = files.filter(({ step: id }) => id === 'write-target');
  const certificates = target === 'containerd' ? '/etc/containerd/certs.d' : '/etc/containers/certs.d';
  return step(
    'write-target',
    `Write the configuration of ${target}`,
    'Run the commands in the directory of this plan.' +
      (hasCertificates
        ? ` The certificates of registries are copied, so that they are still there when /etc/docker is removed.`
        : ''),
    {
      commands: [
        ...(hasCertificates
          ? [`mkdir -p ${certificates}`, `cp -a /etc/docker/certs.d/. ${certificates}/`]
          : []),
        ...written.map(putCommand),
        'systemctl daemon-reload',
      ],
      check:
        target === 'containerd'
          ? ['containerd config dump >/dev/null   # prints no line with "Ignoring unknown key"']
          : ['crio config >/dev/null   # prints no error'],
      undo: [...written.map(undoCommand), 'systemctl daemon-reload'],
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
      undo: isShared ? [`systemctl restart ${unit}.service`] : [`systemctl disable --now ${unit}.service`],
    },
  );
}

function images({ endpoint, target }: StepFacts): Step {
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
      check: [`crictl --image-endpoint ${endpoint} images`],
      undo: [],
    },
  );
}

function drain({ hostname, isControlPlane }: StepFacts): Step {
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
        `kubectl cordon ${hostname}`,
        `kubectl drain ${hostname} --ignore-daemonsets --delete-emptydir-data`,
      ],
      check: [
        `kubectl get pods -A --field-selector spec.nodeName=${hostname}   # only pods of DaemonSets and static pods`,
      ],
      undo: [`kubectl uncordon ${hostname}`],
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

function stopEngine({ bridge, keepDocker }: StepFacts): Step {
  const bridgeUnits =
    bridge === 'dockbridge' ? ['dockbridge.service'] : ['cri-docker.service', 'cri-docker.socket'];
  const units = [...bridgeUnits, ...(keepDocker ? [] : ['docker.service', 'docker.socket'])];
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

function editKubelet({ files }: StepFacts): Step {
  const edited = files.filter(({ step: id }) => id === 'edit-kubelet');
  return step(
    'edit-kubelet',
    'Point the kubelet at the target',
    'Each file has a patch in patches/ for reading. Run the commands in the directory of this plan.',
    {
      commands: [...edited.map(putCommand), 'systemctl daemon-reload'],
      check: [
        'grep -rs runtime-endpoint /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/crictl.yaml   # the new socket everywhere',
        'grep -s containerRuntimeEndpoint /var/lib/kubelet/config.yaml',
      ],
      undo: [...edited.map(undoCommand), 'systemctl daemon-reload'],
      files: edited.map(({ path }) => path),
    },
  );
}

function startKubelet({ hostname, target, endpoint }: StepFacts): Step {
  return step('start-kubelet', 'Start the kubelet', `The node reports the new runtime after some seconds.`, {
    commands: ['systemctl start kubelet.service'],
    check: [
      `kubectl get node ${hostname} -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}'   # ${target}://…`,
      `kubectl wait --for=condition=Ready node/${hostname} --timeout=5m`,
    ],
    // The old runtime does not know the pods of the new one.
    undo: ['systemctl stop kubelet.service', `crictl --runtime-endpoint ${endpoint} rmp --all --force`],
  });
}

function annotate({ hostname, endpoint, oldEndpoint }: StepFacts): Step {
  const line = (value: string) =>
    `kubectl annotate node ${hostname} --overwrite kubeadm.alpha.kubernetes.io/cri-socket=${value}`;
  return step(
    'annotate',
    'Tell kubeadm',
    'Only for clusters made with kubeadm. Without the annotation, `kubeadm upgrade` and `kubeadm reset` look for the old socket.',
    {
      place: 'cluster',
      commands: [line(endpoint)],
      check: [`kubectl get node ${hostname} -o yaml | grep cri-socket`],
      undo: [line(oldEndpoint)],
    },
  );
}

function verify({ hostname, endpoint }: StepFacts): Step {
  return step(
    'verify',
    'Verify',
    'Every pod of the node must run, and no container may restart again and again.',
    {
      commands: [
        `crictl --runtime-endpoint ${endpoint} pods`,
        `kubectl get pods -A -o wide --field-selector spec.nodeName=${hostname}`,
      ],
      check: [
        'journalctl -u kubelet.service --since -5min -p err   # nothing about the runtime or the network',
      ],
    },
  );
}

function uncordon({ hostname }: StepFacts): Step {
  return step(
    'uncordon',
    'Give the node back to the cluster',
    'Watch the node for a day before the next steps.',
    {
      place: 'cluster',
      commands: [`kubectl uncordon ${hostname}`],
      check: [`kubectl get node ${hostname}   # Ready`],
      undo: [`kubectl cordon ${hostname}`],
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

function cleanUp({ keepDocker, dockerRoot }: StepFacts): Step {
  return step(
    'clean-up',
    'Remove Docker',
    keepDocker
      ? 'Docker stays for the containers that belong to no pod: there is nothing to remove.'
      : 'Do this last: afterwards there is no way back. Name the packages. `apt-get autoremove` would remove containerd, too.',
    keepDocker
      ? {}
      : {
          commands: [
            'apt-get remove docker-ce docker-ce-cli docker.io cri-dockerd',
            `rm -rf ${quoted(dockerRoot)}`,
          ],
          check: ['df -h', 'crictl info   # RuntimeReady is true'],
          isFinal: true,
        },
  );
}

function putCommand({ path, mode, owner }: PlannedFile): string {
  const by = owner === undefined ? '' : ` -o ${owner.uid} -g ${owner.gid}`;
  return `install -D -m ${mode.toString(8).padStart(4, '0')}${by} ${quoted(`files${path}`)} ${quoted(path)}`;
}

function undoCommand({ path, before }: PlannedFile): string {
  return before === undefined ? `rm -f ${quoted(path)}` : `tar -C / -xzf ${BACKUP} ${quoted(path.slice(1))}`;
}

/** Quotes a word for a POSIX shell if it needs quotes. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
