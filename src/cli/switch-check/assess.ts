import { flagOf } from '../../lib/flags';
import { isSameSocket } from '../../node/disk/socket-file';
import type { EngineContainerInspect } from '../../engine/types';
import { SANDBOX_ID_LABEL, SANDBOX_TYPE, TYPE_LABEL } from '../../translate/shared/labels';
import { withoutSlash } from '../../translate/shared/names';
import { assessPod } from './assess-pod';
import type { SwitchFacts } from './facts';
import type { Note, PodPlan, SwitchReport } from './report';

/** Judges what was read: what happens to each pod of this node when dockbridge takes over. */
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
    text: `container ${withoutSlash(sandbox.Name)} has the labels of a sandbox, but no pod's name: it will not be listed`,
  };
}

function orphan(container: EngineContainerInspect): Note {
  return {
    severity: 'note',
    text: `container ${withoutSlash(container.Name)} has no sandbox any more: kubelet removes it`,
  };
}

function nodeNotes(facts: SwitchFacts, pods: readonly PodPlan[]): Note[] {
  const { processes, settings, cniProblem, ignoredFlags } = facts;
  const notes: Note[] = [];
  const say = (severity: Note['severity'], text: string): void => void notes.push({ severity, text });
  const incumbent = processes.find(({ name }) => name === 'cri-dockerd');
  const [ours] = processes.filter(({ name }) => name === 'dockbridge');
  const plugin = incumbent === undefined ? undefined : flagOf(incumbent.args, 'network-plugin');
  if (ours !== undefined) say('note', `dockbridge runs already, process ${ours.pid}`);
  if (incumbent === undefined && ours === undefined)
    say('note', 'neither cri-dockerd nor dockbridge runs: nobody serves pods on Docker Engine here just now');
  if (plugin === 'kubenet')
    say(
      'problem',
      'cri-dockerd runs with --network-plugin=kubenet: dockbridge has no kubenet, new pods need CNI',
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
        'kubelet runs with its built-in dockershim (--container-runtime=docker): it needs other flags',
      );
    else if (asks !== undefined && !isSameSocket(asks, settings.endpoint))
      say('warning', `kubelet asks ${asks}, dockbridge would listen on ${settings.endpoint}`);
  }
  return notes;
}
