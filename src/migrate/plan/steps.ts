import { forPerson, lacks, prints, succeeds, type Check } from './check';
import { annotate, drain, uncordon } from './cluster-steps';
import { editKubelet, removePods, startKubelet, stopKubelet } from './kubelet-steps';
import { cleanUp, reboot } from './last-steps';
import { putCommand, undoCommand } from './place-file';
import type { PlannedFile } from './node-file';
import { sha256 } from './sha256';
import { quoted } from './shell';
import { step, type Step, type StepFacts } from './step';
import { isActive, isInactive } from './unit-checks';

/** `containerd github.com/containerd/containerd/v2 2.1.4 …`, `containerd containerd.io v2.2.0 …` */
const CONTAINERD_VERSION = String.raw`containerd .*?\sv?(2\.[1-9]\d*|[3-9]\.\d+|[1-9]\d+\.\d+)\.[\s\S]*`;
/** apt-get downloads the packages. */
const INSTALL_SECONDS = 1_800;
const IMAGES_SECONDS = 86_400;
/** How long a runtime may take to start. */
const READY_SECONDS = 90;

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

function backup({ keptFiles, files, backup: archive }: StepFacts): Step {
  const names = keptFiles.map((path) => quoted(path.slice(1))).join(' ');
  return step(
    'backup',
    'Keep a copy of the configuration',
    'Every later step can be taken back with these files. The archive may hold passwords: only root can read it. ' +
      'The command fails if the archive exists, because that one has the files from before the first attempt.',
    {
      commands: [
        'mkdir -p /var/backups',
        `test ! -e ${archive} || { echo "${archive} exists" >&2; false; }`,
        // The archive has its name only when it is complete and on the disk.
        `(umask 077; tar -C / -czf ${archive}.part ${names} && sync ${archive}.part && mv -nT ${archive}.part ${archive})`,
      ],
      check: [succeeds(`tar -tzf ${archive} ${names}`), ...files.flatMap((file) => isKept(file, archive))],
      isDoneWhenChecked: true,
    },
  );
}

/** Checks that the archive has the text that the plan knows, so that an undo brings back nothing else. */
function isKept({ path, before }: PlannedFile, archive: string): Check[] {
  // sha256sum counts bytes, and this text has lost some of its bytes.
  if (before === undefined || before.includes('\uFFFD')) return [];
  const hash = sha256(before);
  return [
    prints(`tar -xzOf ${archive} ${quoted(path.slice(1))} | sha256sum`, `${hash} +-`, { note: `${hash}  -` }),
  ];
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
        : [
            // The configuration files that are there belong to the administrator.
            `apt-get install --yes --no-remove -o Dpkg::Options::=--force-confold ${target === 'containerd' ? 'containerd' : 'cri-o'}`,
          ],
      check: [
        target === 'containerd'
          ? prints('containerd --version', CONTAINERD_VERSION, {
              note: '2.1 or newer: an older one does not start with version = 3',
            })
          : succeeds('crio --version'),
      ],
      undo: isThere ? [] : [`systemctl disable --now ${unit}.service`],
      isDoneWhenChecked: true,
      limitSeconds: INSTALL_SECONDS,
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
              lacks(
                `containerd --config ${quoted(mainPath)} config dump 2>&1 >/dev/null`,
                'Ignoring unknown key',
                { note: 'prints no line with "Ignoring unknown key"' },
              ),
            ]
          : [succeeds('crio config >/dev/null', { note: 'prints no error' })],
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
        succeeds(`dockbridge migrate ready --endpoint ${endpoint}`, {
          note: 'RuntimeReady and NetworkReady are true',
          withinSeconds: READY_SECONDS,
        }),
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
        forPerson(
          isLate
            ? `ctr --address ${endpoint.replace(/^unix:\/\//, '')} -n k8s.io images ls`
            : `crictl --image-endpoint ${endpoint} images`,
        ),
      ],
      limitSeconds: IMAGES_SECONDS,
    },
  );
}

function stopEngine(facts: StepFacts): Step {
  const { oldUnits: units, oldEndpoint, keepDocker, target, isContainerdShared } = facts;
  const upwards = [...units].reverse();
  // A dockerd without an address takes the node's containerd as soon as its socket exists, and the rollback stops that one next.
  const isInTheWay = target === 'containerd' && !isContainerdShared && !keepDocker;
  return step(
    'stop-engine',
    keepDocker ? 'Stop the CRI bridge' : 'Stop the CRI bridge and Docker',
    keepDocker
      ? 'Docker goes on for the containers that belong to no pod.'
      : 'The sockets are disabled, too: a connection to docker.socket would start Docker again. Nothing is deleted.',
    {
      commands: [`systemctl disable --now ${units.join(' ')}`],
      check: [isInactive(units)],
      undo: [
        ...(isInTheWay ? ['systemctl disable --now containerd.service'] : []),
        `systemctl enable --now ${upwards.join(' ')}`,
      ],
      // The kubelet starts next, and needs its runtime.
      undoCheck: [
        succeeds(`dockbridge migrate ready --endpoint ${quoted(oldEndpoint)}`, {
          note: 'RuntimeReady and NetworkReady are true',
          withinSeconds: READY_SECONDS,
        }),
      ],
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
        check: [isActive(`${unit}.service`)],
        undo: [...written.map((file) => undoCommand(file, archive)), `systemctl restart ${unit}.service`],
        files: written.map(({ path }) => path),
      },
    ),
  ];
}

function verify({ node, endpoint }: StepFacts): Step {
  return step(
    'verify',
    'Verify',
    'Every pod of the node must run, and no container may restart again and again.',
    {
      check: [
        succeeds(`dockbridge migrate ready --endpoint ${endpoint}`, {
          note: 'RuntimeReady and NetworkReady are true',
          withinSeconds: READY_SECONDS,
        }),
        forPerson(`crictl --runtime-endpoint ${endpoint} pods`, 'every pod is Ready'),
        forPerson(
          `kubectl get pods -A -o wide --field-selector spec.nodeName=${node}`,
          'every pod is Running',
          'cluster',
        ),
        forPerson(
          'journalctl -u kubelet.service --since -5min -p err',
          'nothing about the runtime or the network',
        ),
      ],
    },
  );
}
