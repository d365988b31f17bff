import type { FoundLine, NodeFacts } from '../facts';
import { count, engineSays, finding, type Evidence, type Finding, type Theme } from './finding-of';
import { isComponent } from './node-kind';
import { foreignContainers, labelOf, nameOf } from './pods';

/** What uses Docker on this node outside of pods. */
export const outside: Theme = (facts, { keepDocker }) => [
  ...foreign(facts, keepDocker),
  ...swarm(facts),
  ...scripts(facts),
  ...clients(facts),
  ...monitoring(facts),
];

function foreign(facts: NodeFacts, keepDocker: boolean): readonly Finding[] {
  const containers = foreignContainers(facts).filter((container) => !isComponent(nameOf(container)));
  if (facts.engine === undefined) return [];
  if (containers.length === 0)
    return [finding('ok', 'foreign', 'All containers of the Engine belong to pods.')];
  const belong = containers.length === 1 ? 'belongs' : 'belong';
  const evidence = containers.map((container): Evidence => {
    const project = labelOf(container, 'com.docker.compose.project');
    const service = labelOf(container, 'com.docker.swarm.service.name');
    const { Status: state } = container.State;
    const of = project !== '' ? `, compose project ${project}` : service !== '' ? `, service ${service}` : '';
    return {
      where: `container ${nameOf(container)}`,
      what: `${state}, image ${container.Config.Image}${of}`,
    };
  });
  return [
    finding(
      keepDocker ? 'review' : 'block',
      'foreign',
      `${count(containers.length, 'container')} ${belong} to no pod${keepDocker ? '; Docker stays for them' : ', and would stop with Docker'}.`,
      keepDocker
        ? 'The plan leaves docker.service running next to the new runtime. Both need disk and memory.'
        : 'Move them to another machine or into pods, remove them, or decide with --keep-docker that Docker stays on the node for them.',
      evidence,
    ),
  ];
}

function swarm({ engine }: NodeFacts): readonly Finding[] {
  const state = engine?.info.Swarm?.LocalNodeState ?? 'inactive';
  if (state === 'inactive' || state === '') return [];
  return [
    finding(
      'block',
      'swarm',
      'The Engine is a member of a swarm.',
      'Move its services elsewhere, then run `docker swarm leave`.',
      [engineSays(`Swarm.LocalNodeState is ${state}`)],
    ),
  ];
}

function scripts({ lines }: NodeFacts): readonly Finding[] {
  const { docker } = lines;
  if (docker.length === 0) return [];
  return [
    finding(
      'review',
      'host-scripts',
      `${count(docker.length, 'line')} of scripts, cron tables or units on the node ${docker.length === 1 ? 'calls' : 'call'} docker.`,
      'Rewrite them for crictl (containers and logs), kubelet (it removes unused images by itself) or nerdctl. A `docker system prune` is no longer needed.',
      docker.map(asEvidence),
    ),
  ];
}

function clients({ processes }: NodeFacts): readonly Finding[] {
  const found = processes?.socketClients ?? [];
  if (found.length === 0) return [];
  return [
    finding(
      'review',
      'sock-clients',
      `${count(found.length, 'process', 'processes')} of the node ${found.length === 1 ? 'is' : 'are'} connected to the Engine's socket now.`,
      'Find out what these programs need from the Engine, and give them the CRI socket instead.',
      found.map(({ pid, name }) => ({ where: `process ${pid}`, what: name })),
    ),
  ];
}

function monitoring({ lines }: NodeFacts): readonly Finding[] {
  const { monitoring: found } = lines;
  if (found.length === 0) return [];
  return [
    finding(
      'review',
      'monitoring',
      'The configuration of monitoring or log rotation mentions Docker.',
      'Let alerts watch the unit of the new runtime. Container IDs begin with `containerd://` or `cri-o://` instead of `docker://`, also in rules of the cluster that this command cannot see.',
      found.map(asEvidence),
    ),
  ];
}

function asEvidence({ path, line, text }: FoundLine): Evidence {
  return { where: `${path}:${line}`, what: text };
}
