import type { PodNetworkFound } from '../../network/cni/observed-cni';
import { containerFromInspect } from '../../translate/container/container-record';
import type { EngineContainerInspect } from '../../engine/types';
import { EXTRA_LABEL } from '../../translate/shared/labels';
import { withoutSlash } from '../../translate/shared/names';
import { engineIps, sandboxFromInspect } from '../../translate/sandbox/sandbox-record';
import { isReady } from '../../store/states';
import type { SwitchFacts } from './facts';
import { logFateOf } from './log-fate';
import type { ContainerPlan, NetworkKind, Note, PodPlan } from './report';

/** @returns undefined for a container that is not the sandbox of a pod, whatever its labels say. */
export function assessPod(
  sandbox: EngineContainerInspect,
  containers: readonly EngineContainerInspect[],
  facts: SwitchFacts,
): PodPlan | undefined {
  const found = facts.networks.get(sandbox.Id);
  const network = networkOf(sandbox, found);
  const record = sandboxFromInspect(sandbox, network.state);
  if (record === undefined) return undefined;
  const plans = containers.map((container) => assessContainer(container, facts.settings.containerLogs));
  const runs = record.state === 'running';
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
  text: 'no checkpoint: a cri-dockerd that stops this pod would leave the rules of its host ports',
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

/** The namespace of a running pod tells whether the entry is right. A pod that does not run has none. */
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
        text: "CNI's cache has no entry with its addresses: dockbridge reads them from its namespace, and will free its network with the CNI configuration that the node has then",
      },
    ];
  return [];
}

function oddState({ State: { Status: status } }: EngineContainerInspect): Note[] {
  if (status === 'created')
    return [
      {
        severity: 'note',
        text: 'its sandbox was never started: it is not ready, and kubelet will make another',
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
    text: `container ${name} has the labels of a pod's container, but lacks the rest: it will not be listed`,
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
