import { forPerson, lacks, prints, succeeds, type Check } from './check';
import { annotate, drain, uncordon } from './cluster-steps';
import { OLDEST_CONTAINERD, VERSION_PATTERNS } from './containerd-version';
import { editKubelet, removePods, startKubelet, stopKubelet } from './kubelet-steps';
import { cleanUp, reboot } from './last-steps';
import { putCommand, undoCommand } from './place-file';
import type { PlannedFile } from './node-file';
import { installCommands } from './packages';
import { sha256 } from './sha256';
import { quoted } from './shell';
import { step, type Step, type StepFacts } from './step';
import { isActive, isInactive } from './unit-checks';

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

function install(facts: StepFacts): Step {
  const { target, unit, configVersion, packageTool, isInstalled, ranBefore } = facts;
  const isThere = isInstalled || isShared(facts);
  const oldest = OLDEST_CONTAINERD[configVersion].join('.');
  const commands = isThere ? [] : installCommands(packageTool, target);
  const needed =
    target === 'containerd'
      ? `It must be ${oldest} or newer.`
      : 'Its minor version must be that of the cluster.';
  return step(
    'install',
    isThere ? `Check the version of ${target}` : `Install ${target}`,
    isThere
      ? `${isShared(facts) ? 'The Engine runs on this containerd, so it is installed.' : 'It is installed.'} ${needed} Update it if it is older.`
      : `${needed} Do not remove any package of Docker yet. ` +
          (commands.length === 0
            ? 'Install it with the tool of your distribution.'
            : 'If the name of the package differs on your distribution, use that.'),
    {
      commands,
      check: [
        target === 'containerd'
          ? prints('containerd --version', VERSION_PATTERNS[configVersion], { note: `${oldest} or newer` })
          : succeeds('crio --version'),
      ],
      undo: isThere || ranBefore ? [] : [`systemctl disable --now ${unit}.service`],
      isDoneWhenChecked: true,
      limitSeconds: INSTALL_SECONDS,
    },
  );
}

function isShared({ target, isContainerdShared }: StepFacts): boolean {
  return target === 'containerd' && isContainerdShared;
}

function writeTarget(facts: StepFacts): Step {
  const { files, target, unit, certificates, mainPath, backup: archive } = facts;
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
        // A target that ran before goes on with its old files.
        ...(isShared(facts) || facts.ranBefore ? [`systemctl restart ${unit}.service`] : []),
      ],
      files: written.map(({ path }) => path),
    },
  );
}

function startTarget(facts: StepFacts): Step {
  const { unit, endpoint } = facts;
  return step(
    'start-target',
    `Start ${facts.target}`,
    'The target must be ready before the kubelet uses it. NetworkReady is false until there is a CNI configuration.',
    {
      commands: [`systemctl enable ${unit}.service`, `systemctl restart ${unit}.service`],
      check: [
        succeeds(`dockbridge migrate ready --endpoint ${endpoint}`, {
          note: 'RuntimeReady and NetworkReady are true',
          withinSeconds: READY_SECONDS,
        }),
        // Nobody could ask CRI for the images when they were carried.
        ...(isShared(facts)
          ? [forPerson(`crictl --image-endpoint ${endpoint} images`, 'the images that were carried')]
          : []),
      ],
      // The undo of write-target restarts a target that ran before, after the old files are back.
      undo: isShared(facts) || facts.ranBefore ? [] : [`systemctl disable --now ${unit}.service`],
    },
  );
}

function images(facts: StepFacts): Step {
  const { endpoint, target } = facts;
  // CRI may still be off in a containerd that gets its configuration only after the drain.
  const isLate = isShared(facts);
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
  const { oldEndpoint, keepDocker } = facts;
  const { stopped, enabled, started } = facts.oldUnits;
  // A dockerd without an address takes the node's containerd as soon as its socket exists, and the rollback stops that one next.
  const isInTheWay = facts.target === 'containerd' && !isShared(facts) && !keepDocker;
  // The undo of write-target starts a containerd that ran before.
  const stop = facts.ranBefore ? 'stop' : 'disable --now';
  return step(
    'stop-engine',
    keepDocker ? 'Stop the CRI bridge' : 'Stop the CRI bridge and Docker',
    keepDocker
      ? 'Docker goes on for the containers that belong to no pod.'
      : 'The sockets are disabled, too: a connection to docker.socket would start Docker again. Nothing is deleted.',
    {
      commands: [`systemctl disable --now ${stopped.join(' ')}`],
      check: [isInactive(stopped)],
      undo: [
        ...(isInTheWay ? [`systemctl ${stop} containerd.service`] : []),
        ...(enabled.length === 0 ? [] : [`systemctl enable ${enabled.join(' ')}`]),
        `systemctl start ${started.join(' ')}`,
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
