import type { EngineContainerInspect } from '../../engine/types';
import { flagOf } from '../../lib/flags';
import type { PodNetworkFound } from '../../network/cni/observed-cni';
import { isSameSocket } from '../../node/disk/socket-file';
import { isReady, isRunning } from '../../store/states';
import { containerFromInspect } from '../../translate/container/container-record';
import { engineIps, sandboxFromInspect } from '../../translate/sandbox/sandbox-record';
import { EXTRA_LABEL, SANDBOX_ID_LABEL, SANDBOX_TYPE, TYPE_LABEL } from '../../translate/shared/labels';
import { withoutSlash } from '../../translate/shared/names';
import type { SwitchFacts } from './gather';
import type { ContainerPlan, NetworkKind, Note, PodPlan, SwitchReport } from './switch-report';

/** Determines from the gathered facts what happens to each pod of this node when dockbridge takes over. */
export function assess(facts: SwitchFacts): SwitchReport {
  const { containers } = facts;
  const sandboxes = containers.filter(({ Config }) => Config.Labels?.[TYPE_LABEL] === SANDBOX_TYPE);
  const workloads = containers.filter((container) => !sandboxes.includes(container));
  const sandboxOf = ({ Config }: EngineContainerInspect): string => Config.Labels?.[SANDBOX_ID_LABEL] ?? '';
  const planned = sandboxes.map((sandbox) => ({
    sandbox,
    plan: assessPod(
      sandbox,
      workloads.filter((container) => sandboxOf(container) === sandbox.Id),
      facts,
    ),
  }));
  const pods = planned
    .flatMap(({ plan }) => (plan === undefined ? [] : [plan]))
    .sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
  const ids = new Set(sandboxes.map(({ Id }) => Id));
  const notes = [
    ...planned.flatMap(({ sandbox, plan }) => (plan === undefined ? [notOurs(sandbox)] : [])),
    ...workloads.filter((container) => !ids.has(sandboxOf(container))).map(orphan),
    ...nodeNotes(facts, pods),
  ];
  const all = [...notes, ...pods.flatMap((pod) => pod.notes)];
  const count = (severity: Note['severity']): number =>
    all.filter((note) => note.severity === severity).length;
  return {
    engine: facts.engine,
    processes: facts.processes,
    files: facts.files,
    checkpoints: [...facts.checkpoints].map(([directory, kept]) => ({
      directory,
      count: kept.length,
      leftover: kept.filter((id) => !ids.has(id)),
    })),
    pods,
    notes,
    summary: {
      pods: pods.length,
      containers: pods.reduce((sum, pod) => sum + pod.containers.length, 0),
      warnings: count('warning'),
      problems: count('problem'),
    },
  };
}

function keyOf({ namespace, name, attempt }: PodPlan): string {
  return `${namespace}/${name}/${attempt}`;
}

function notOurs(sandbox: EngineContainerInspect): Note {
  return {
    severity: 'warning',
    text: `container ${withoutSlash(sandbox.Name)} has the labels of a sandbox but no pod name: it will not be listed`,
  };
}

function orphan(container: EngineContainerInspect): Note {
  return {
    severity: 'note',
    text: `container ${withoutSlash(container.Name)} has no sandbox anymore: kubelet will remove it`,
  };
}

function nodeNotes(facts: SwitchFacts, pods: readonly PodPlan[]): Note[] {
  const { processes, settings, cniProblem, ignoredFlags } = facts;
  const notes: Note[] = [];
  const say = (severity: Note['severity'], text: string): void => void notes.push({ severity, text });
  const incumbent = processes.find(({ name }) => name === 'cri-dockerd');
  const [ours] = processes.filter(({ name }) => name === 'dockbridge');
  const plugin = incumbent === undefined ? undefined : flagOf(incumbent.args, 'network-plugin');
  if (ours !== undefined) say('note', `dockbridge is running already, process ${ours.pid}`);
  if (incumbent === undefined && ours === undefined)
    say(
      'note',
      'neither cri-dockerd nor dockbridge is running: no runtime serves pods on Docker Engine here at present',
    );
  if (plugin === 'kubenet')
    say(
      'problem',
      'cri-dockerd runs with --network-plugin=kubenet: dockbridge has no kubenet, so new pods need CNI',
    );
  const onCni = pods.some(({ network }) => network.startsWith('CNI') || network === 'kubenet');
  if (cniProblem !== '' && (onCni || settings.networkPlugin === 'cni'))
    say('problem', `new pods will get no network: ${cniProblem}`);
  for (const { name, why } of ignoredFlags)
    say('note', `${name} of cri-dockerd has no effect in dockbridge: ${why}`);
  for (const kubelet of processes.filter(({ name }) => name === 'kubelet')) {
    const asks = flagOf(kubelet.args, 'container-runtime-endpoint');
    if (flagOf(kubelet.args, 'container-runtime') === 'docker')
      say(
        'warning',
        'kubelet runs with its built-in dockershim (--container-runtime=docker): it needs other flags before the switch',
      );
    else if (asks !== undefined && !isSameSocket(asks, settings.endpoint))
      say('warning', `kubelet connects to ${asks}, but dockbridge would listen on ${settings.endpoint}`);
  }
  return notes;
}

/** @returns undefined for a container that is not the sandbox of a pod, although it has a sandbox's labels. */
function assessPod(
  sandbox: EngineContainerInspect,
  containers: readonly EngineContainerInspect[],
  facts: SwitchFacts,
): PodPlan | undefined {
  const found = facts.networks.get(sandbox.Id);
  const network = networkOf(sandbox, found);
  const record = sandboxFromInspect(sandbox, network.state);
  if (record === undefined) return undefined;
  const plans = containers.map((container) => assessContainer(container, facts.settings.containerLogs));
  const runs = isRunning(record);
  const hostPorts = hostPortsOf(sandbox);
  const checkpoint = [...facts.checkpoints.values()].some((ids) => ids.includes(sandbox.Id));
  const madeByUs = sandbox.Config.Labels?.[EXTRA_LABEL] !== undefined;
  return {
    id: record.id,
    namespace: record.metadata.namespace,
    name: record.metadata.name,
    attempt: record.metadata.attempt,
    madeBy: madeByUs ? 'dockbridge' : 'another runtime',
    state: isReady(record) ? 'ready' : 'not ready',
    network: network.kind,
    ips: runs ? record.ips : [],
    hostPorts,
    checkpoint,
    containers: plans.map(({ plan }) => plan),
    notes: [
      ...(runs ? network.notes : []),
      ...oddState(sandbox),
      ...(!checkpoint && hostPorts.length > 0 && network.kind === 'CNI' ? [NO_CHECKPOINT] : []),
      ...plans.flatMap(({ notes }) => notes),
    ],
  };
}

const NO_CHECKPOINT: Note = {
  severity: 'note',
  text: 'no checkpoint: if cri-dockerd stopped this pod, the rules of its host ports would remain',
};

interface AssessedNetwork {
  readonly kind: NetworkKind;
  readonly state: { readonly ready: boolean; readonly ips: readonly string[] };
  readonly notes: readonly Note[];
}

function networkOf(sandbox: EngineContainerInspect, found: PodNetworkFound | undefined): AssessedNetwork {
  const { NetworkMode: mode = '' } = sandbox.HostConfig;
  const nothing = { ready: true, ips: [] };
  if (mode === 'host') return { kind: 'host', state: nothing, notes: [] };
  if (mode !== 'none')
    return { kind: 'Docker bridge', state: { ready: true, ips: engineIps(sandbox) }, notes: [] };
  const state = { ready: found?.ready ?? false, ips: found?.ips ?? [] };
  const kind: NetworkKind =
    found === undefined
      ? 'unknown'
      : found.networkName.startsWith('kubenet')
        ? 'kubenet'
        : isKnownToCache(found)
          ? 'CNI'
          : 'CNI, no usable cache entry';
  return { kind, state, notes: networkNotes(kind, state.ready) };
}

/**
 * Returns whether CNI's cache has a usable entry. A running pod's namespace shows whether the entry is right. A stopped pod has
 * no namespace, so its entry is believed.
 */
function isKnownToCache({ source, ips, networkName }: PodNetworkFound): boolean {
  return source === 'cache' || (ips.length === 0 && networkName !== '');
}

function networkNotes(kind: NetworkKind, ready: boolean): Note[] {
  if (!ready)
    return [
      {
        severity: 'warning',
        text: 'its network is not set up: it will be reported as not ready, and kubelet will replace it',
      },
    ];
  if (kind === 'kubenet')
    return [
      {
        severity: 'warning',
        text: 'on kubenet: it keeps running, but the pod that replaces it needs a CNI configuration on this node',
      },
    ];
  if (kind === 'CNI, no usable cache entry')
    return [
      {
        severity: 'warning',
        text: "CNI's cache has no entry with the pod's addresses: dockbridge reads them from the pod's namespace, and will free the pod's network with the CNI configuration that the node has at that time",
      },
    ];
  return [];
}

function oddState({ State: { Status: status } }: EngineContainerInspect): Note[] {
  if (status === 'created')
    return [
      {
        severity: 'note',
        text: 'its sandbox was never started: the pod is not ready, and kubelet will create another sandbox',
      },
    ];
  if (status === 'paused' || status === 'dead')
    return [{ severity: 'warning', text: `its sandbox is ${status} in the Engine` }];
  return [];
}

function assessContainer(
  inspect: EngineContainerInspect,
  mode: 'cri' | 'link',
): { plan: ContainerPlan; notes: readonly Note[] } {
  const record = containerFromInspect(inspect);
  const name = record?.metadata.name ?? withoutSlash(inspect.Name);
  const { driver, log, notes } = logFateOf(inspect, name, mode);
  const unknown: Note = {
    severity: 'warning',
    text: `container ${name} has some labels of a pod's container, but not all that are needed: it will not be listed`,
  };
  return {
    plan: { name, id: inspect.Id, state: inspect.State.Status, logDriver: driver, log },
    notes: record === undefined ? [unknown] : notes,
  };
}

function hostPortsOf({ HostConfig: { PortBindings: bindings } }: EngineContainerInspect): string[] {
  return Object.entries(bindings ?? {}).flatMap(([port, places]) =>
    (places ?? []).flatMap(({ HostIp: ip = '', HostPort: hostPort = '' }) =>
      hostPort === '' || hostPort === '0' ? [] : [`${ip === '' ? '' : `${ip}:`}${hostPort}→${port}`],
    ),
  );
}

interface LogFate {
  readonly driver: string;
  readonly log: string;
  readonly notes: readonly Note[];
}

/** Returns what happens to a container's log under `--container-logs` (docs/logs.md). */
function logFateOf(
  { Config, HostConfig, State }: EngineContainerInspect,
  name: string,
  mode: 'cri' | 'link',
): LogFate {
  const driver = HostConfig.LogConfig?.Type ?? 'json-file';
  const { compress } = HostConfig.LogConfig?.Config ?? {};
  if (driver !== 'json-file') {
    const text = `container ${name}: its log is with the Engine's log driver ${driver}, so kubelet still cannot read it; a line in the log file says so`;
    return { driver, log: 'no file', notes: [{ severity: 'note', text }] };
  }
  const notes: Note[] =
    compress === 'true'
      ? [
          {
            severity: 'warning',
            text: `container ${name}: the Engine compresses rotated files (compress=true), which cannot be followed`,
          },
        ]
      : [];
  if (mode === 'link') return { driver, log: "stays a link to the Engine's file", notes };
  if (Config.Labels?.[EXTRA_LABEL] !== undefined) return { driver, log: 'a CRI file, as it is', notes };
  const log =
    State.Status === 'running' || State.Status === 'paused'
      ? 'stays a link until it is rotated or the container ends, then a CRI file'
      : "stays a link to the Engine's file";
  return { driver, log, notes };
}
