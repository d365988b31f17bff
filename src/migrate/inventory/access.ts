import type { NodeFacts } from '../facts';
import { count, finding, type Evidence, type Finding, type Theme } from './finding-of';
import { imageNames, placeOf, podContainers, type PodContainer } from './pods';

/** Agents that are known to ask the Engine, by their images, and what they need instead. */
const AGENTS: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [/datadog/i, 'datadog: set the CRI socket path'],
  [/dynatrace|oneagent/i, 'dynatrace: use a version with support for containerd and CRI-O'],
  [/falco/i, "falco: enable the CRI socket in place of Docker's"],
  [/twistlock|prisma/i, 'prisma cloud: deploy the defender for CRI'],
  [/signalfx|splunk-otel/i, 'signalfx: replace the Docker monitor'],
  [/cadvisor/i, "cadvisor: give it containerd's socket"],
  [/newrelic/i, 'new relic: update the agent'],
  [/aqua(sec)?\b|sysdig/i, 'security agent: set the CRI socket'],
];

/** Pods and programs that use the Engine itself, which they lose. */
export const access: Theme = (facts) => [
  ...sockets(facts),
  ...directories(facts),
  ...builders(facts),
  ...logFormat(facts),
  ...emptyDirs(facts),
];

function mountsOf({ container }: PodContainer): { readonly source: string; readonly inside: string }[] {
  return (container.Mounts ?? []).flatMap(({ Source = '', Destination }) =>
    Source === '' ? [] : [{ source: normal(Source), inside: Destination }],
  );
}

/** The same directory has two names: /var/run is a link to /run. */
function normal(path: string): string {
  const short = path.replace(/\/+$/, '') || '/';
  return short.replace(/^\/var\/run(?=\/|$)/, '/run');
}

/** Whether the mount shows the path because it shows one of its parents. */
function isParent(source: string, path: string): boolean {
  return source === '/' || path.startsWith(`${source}/`);
}

function containersOf(facts: NodeFacts): PodContainer[] {
  return podContainers(facts).filter(({ isSandbox }) => !isSandbox);
}

function sockets(facts: NodeFacts): readonly Finding[] {
  const { engine } = facts;
  if (engine === undefined) return [];
  const socket = normal(
    engine.endpoint.startsWith('unix://') ? engine.endpoint.slice(7) : '/run/docker.sock',
  );
  const known = new Set([socket, '/run/docker.sock', '/run/docker']);
  const exact: Evidence[] = [];
  const parents: Evidence[] = [];
  for (const pod of containersOf(facts)) {
    const mounts = mountsOf(pod);
    const direct = mounts.find(({ source }) => known.has(source));
    const parent = mounts.find(({ source }) => isParent(source, socket));
    if (direct !== undefined)
      exact.push({
        where: placeOf(pod),
        what: `mounts ${direct.source} at ${direct.inside}${agentOf(facts, pod)}`,
      });
    else if (parent !== undefined)
      parents.push({
        where: placeOf(pod),
        what: `mounts ${parent.source} at ${parent.inside}${agentOf(facts, pod)}`,
      });
  }
  return [
    ...(exact.length === 0
      ? []
      : [
          finding(
            'change',
            'docker-sock-pod',
            `${count(exact.length, 'container')} of pods ${exact.length === 1 ? 'mounts' : 'mount'} the Engine's socket, which is gone after the move.`,
            "Let agents use the CRI socket or the kubelet's API, and remove the mount from the pod's specification. Ask the owner of each pod.",
            exact,
          ),
        ]),
    ...(parents.length === 0
      ? []
      : [
          finding(
            'review',
            'docker-sock-pod',
            `${count(parents.length, 'container')} of pods ${parents.length === 1 ? 'sees' : 'see'} the Engine's socket through a directory above it.`,
            'Find out whether the program opens the socket. Many, such as node-exporter, do not.',
            parents,
          ),
        ]),
  ];
}

function agentOf({ engine }: NodeFacts, { container, name }: PodContainer): string {
  if (engine === undefined) return '';
  const names = [name, ...imageNames(engine, container)];
  const known = AGENTS.find(([pattern]) => names.some((one) => pattern.test(one)));
  return known === undefined ? '' : ` (${known[1]})`;
}

function directories(facts: NodeFacts): readonly Finding[] {
  const root = normal(facts.engine?.info.DockerRootDir ?? '/var/lib/docker');
  const inside: Evidence[] = [];
  const parents: Evidence[] = [];
  for (const pod of containersOf(facts)) {
    const mounts = mountsOf(pod).filter(({ source }) => !source.startsWith('/var/lib/kubelet/'));
    const direct = mounts.find(({ source }) => source === root || source.startsWith(`${root}/`));
    const parent = mounts.find(({ source }) => source !== '/' && isParent(source, root));
    if (direct !== undefined)
      inside.push({ where: placeOf(pod), what: `mounts ${direct.source}${agentOf(facts, pod)}` });
    else if (parent !== undefined) parents.push({ where: placeOf(pod), what: `mounts ${parent.source}` });
  }
  return [
    ...(inside.length === 0
      ? []
      : [
          finding(
            'change',
            'docker-dir-pod',
            `${count(inside.length, 'container')} of pods ${inside.length === 1 ? 'reads' : 'read'} the Engine's files, which the new runtime does not have.`,
            'Log shippers read /var/log/pods instead; cAdvisor and scanners need the directories of the new runtime.',
            inside,
          ),
        ]),
    ...(parents.length === 0
      ? []
      : [
          finding(
            'review',
            'docker-dir-pod',
            `${count(parents.length, 'container')} of pods ${parents.length === 1 ? 'sees' : 'see'} the Engine's files through a directory above them.`,
            'Find out whether the program reads them.',
            parents,
          ),
        ]),
  ];
}

function builders(facts: NodeFacts): readonly Finding[] {
  const { engine } = facts;
  if (engine === undefined) return [];
  const found = containersOf(facts).flatMap((pod): Evidence[] => {
    const image = imageNames(engine, pod.container).find(
      (name) => /\bdind\b|(^|\/)docker:(?!.*-cli)/.test(name) || name.includes('buildkit'),
    );
    return image === undefined ? [] : [{ where: placeOf(pod), what: `image ${image}` }];
  });
  if (found.length === 0) return [];
  return [
    finding(
      'change',
      'dind-build',
      `${count(found.length, 'container')} of pods ${found.length === 1 ? 'builds' : 'build'} images or ${found.length === 1 ? 'runs' : 'run'} an Engine of their own.`,
      "Images that Docker builds on the node are invisible to CRI: push them to a registry, or build with BuildKit's rootless daemon or Kaniko. An Engine inside a pod goes on working if it needs nothing of the host's.",
      found,
    ),
  ];
}

function logFormat({ lines }: NodeFacts): readonly Finding[] {
  const { logFormat: found } = lines;
  if (found.length === 0) return [];
  return [
    finding(
      'change',
      'log-format',
      "A log shipper expects Docker's JSON or Docker's directory of logs.",
      "Let it parse the CRI format (fluent-bit: `multiline.parser docker, cri`; promtail: `cri: {}`; vector and filebeat: their Kubernetes source) and read /var/log/pods. dockbridge's --container-logs=cri lets you try that before the move.",
      found.map(({ path, line, text }) => ({ where: `${path}:${line}`, what: text })),
    ),
  ];
}

const EMPTY_DIR = /\/pods\/[^/]+\/volumes\/kubernetes\.io~empty-dir\/([^/]+)/;

function emptyDirs(facts: NodeFacts): readonly Finding[] {
  const volumes = new Map<string, Set<string>>();
  for (const pod of containersOf(facts))
    for (const { source } of mountsOf(pod)) {
      const name = EMPTY_DIR.exec(source)?.[1];
      if (name !== undefined) volumes.set(pod.pod, (volumes.get(pod.pod) ?? new Set()).add(name));
    }
  if (volumes.size === 0) return [];
  return [
    finding(
      'review',
      'local-storage',
      `${count(volumes.size, 'pod')} ${volumes.size === 1 ? 'keeps' : 'keep'} data in an emptyDir, which a drain deletes.`,
      'Ask the owner whether the data is only a cache. `kubectl drain` refuses without --delete-emptydir-data.',
      [...volumes].map(([pod, names]) => ({
        where: `pod ${pod}`,
        what: `emptyDir ${[...names].join(', ')}`,
      })),
    ),
  ];
}
