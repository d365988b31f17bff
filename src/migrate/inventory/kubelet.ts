import { bridgeUnits } from '../bridge';
import type { NodeFacts } from '../facts';
import { dependsOnOld, kubeletUnits } from '../kubelet-units';
import { nodeName } from '../node-name';
import { finding, linesIn, listed, shortened, type Evidence, type Finding, type Theme } from './finding-of';
import { podContainers } from './pods';

const FLAG_FILES = ['/var/lib/kubelet/kubeadm-flags.env', '/etc/default/kubelet', '/etc/sysconfig/kubelet'];
const CONFIG = '/var/lib/kubelet/config.yaml';
const INSTANCE = '/var/lib/kubelet/instance-config.yaml';

/** What of kubelet, kubeadm and crictl names the present runtime. */
export const kubelet: Theme = (facts) => [
  ...endpoint(facts),
  ...flags(facts),
  ...units(facts),
  ...instanceConfig(facts),
  ...annotation(facts),
  ...sockets(facts),
  ...crictl(facts),
  ...problems(facts),
];

function unitFiles({ files }: NodeFacts): string[] {
  return kubeletUnits(Object.keys(files));
}

function flagPlaces(facts: NodeFacts, pattern: RegExp): Evidence[] {
  return [...FLAG_FILES, ...unitFiles(facts)].flatMap((path) => linesIn(facts, path, pattern, 'match'));
}

/** The flag alone: the line has all flags. */
const ENDPOINT_FLAG = /--container-runtime-endpoint(?:[= ][^\s"']+)?/;
/** Sockets of runtimes that do not need Docker. */
const TARGETS = /(containerd|crio)\/(containerd|crio)\.sock$/;

function endpoint(facts: NodeFacts): readonly Finding[] {
  const { kubelet: snapshot } = facts;
  if (snapshot === undefined)
    return [
      finding(
        'review',
        'kubelet-endpoint',
        'There is neither a kubelet process nor a configuration of kubelet.',
        'If kubelet runs in a container or keeps its files elsewhere, change its --container-runtime-endpoint there.',
      ),
    ];
  const { value, from } = snapshot.endpoint;
  const places = [
    ...flagPlaces(facts, ENDPOINT_FLAG),
    ...linesIn(facts, snapshot.configFile, /^\s*containerRuntimeEndpoint\s*:/),
  ];
  const evidence =
    places.length > 0 ? places : [{ where: from === 'flag' ? snapshot.from : from, what: value }];
  if (value === '')
    return [
      finding(
        'review',
        'kubelet-endpoint',
        'kubelet names no runtime.',
        podContainers(facts).length > 0
          ? 'kubelet 1.23 and older then asks Docker itself. Update to a kubelet that takes --container-runtime-endpoint before the move.'
          : "kubelet's default is containerd.",
        [{ where: snapshot.from, what: 'no containerRuntimeEndpoint' }],
      ),
    ];
  if (TARGETS.test(value))
    return [finding('ok', 'kubelet-endpoint', `kubelet already asks ${value}.`, '', evidence)];
  return [
    finding(
      'change',
      'kubelet-endpoint',
      `kubelet asks ${value}.`,
      'The plan sets unix:///run/containerd/containerd.sock or unix:///var/run/crio/crio.sock in these places. A flag wins over the file.',
      evidence,
    ),
  ];
}

/** Flags that newer kubelets refuse, with the version that refuses them. */
const OBSOLETE: readonly (readonly [flag: RegExp, why: string])[] = [
  [/--network-plugin\b/, '--network-plugin (gone in 1.24)'],
  [/--cni-(bin-dir|conf-dir|cache-dir)\b/, '--cni-… (gone in 1.24)'],
  [/--docker[-a-z]*\b/, '--docker… (gone in 1.24)'],
  [/--image-pull-progress-deadline\b/, '--image-pull-progress-deadline (gone in 1.24)'],
  [/--container-runtime[= ]/, '--container-runtime (gone in 1.27)'],
  [/--pod-infra-container-image\b/, '--pod-infra-container-image (gone in 1.35)'],
];

function flags(facts: NodeFacts): readonly Finding[] {
  const { arguments: args = [], from = '' } = facts.kubelet ?? {};
  const found = OBSOLETE.flatMap(([pattern, why]) => {
    const places = flagPlaces(facts, pattern);
    const isGiven = args.some((word) => pattern.test(`${word} `));
    const process = isGiven ? [{ where: from, what: why }] : [];
    return places.length > 0 ? places.map(({ where }) => ({ where, what: why })) : process;
  });
  if (found.length === 0) return [];
  return [
    finding(
      'change',
      'kubelet-flags',
      'kubelet has flags that only Docker needed; newer kubelets do not start with them.',
      'The plan removes them.',
      found,
    ),
  ];
}

function dependencies(facts: NodeFacts, path: string): Evidence[] {
  const ofBridge = bridgeUnits(facts);
  return (facts.files[path]?.text ?? '')
    .split('\n')
    .flatMap((line, at) =>
      dependsOnOld(line, ofBridge) ? [{ where: `${path}:${at + 1}`, what: shortened(line.trim()) }] : [],
    );
}

function units(facts: NodeFacts): readonly Finding[] {
  const found = unitFiles(facts).flatMap((path) => dependencies(facts, path));
  if (found.length === 0) return [];
  return [
    finding(
      'change',
      'kubelet-unit',
      "kubelet's unit depends on Docker's, or on that of the present runtime.",
      'The plan writes the unit of the new runtime there. With Requires=, kubelet would not start without Docker.',
      found,
    ),
  ];
}

function instanceConfig(facts: NodeFacts): readonly Finding[] {
  if (facts.files[INSTANCE] === undefined) return [];
  const lines = linesIn(facts, INSTANCE, /^\s*containerRuntimeEndpoint\s*:/);
  if (lines.length === 0 || lines.every(({ what }) => TARGETS.test(what.replace(/["'\s]+$/, '')))) return [];
  return [
    finding(
      'change',
      'kubelet-instance-config',
      'kubeadm keeps the runtime of this node in a file of its own.',
      `Change it together with ${CONFIG}: kubelet does not read this file, but the next \`kubeadm upgrade\` writes its value back.`,
      lines,
    ),
  ];
}

function isKubeadm({ files }: NodeFacts): boolean {
  return files['/var/lib/kubelet/kubeadm-flags.env'] !== undefined || files[INSTANCE] !== undefined;
}

function annotation(facts: NodeFacts): readonly Finding[] {
  if (!isKubeadm(facts)) return [];
  return [
    finding(
      'review',
      'kubelet-annotation',
      'kubeadm may keep the socket of the runtime in an annotation of the Node, which this command does not see.',
      `If \`kubectl get node ${nodeName(facts)} -o yaml\` has kubeadm.alpha.kubernetes.io/cri-socket, set it after the move: the plan has the line.`,
      [{ where: '/var/lib/kubelet', what: 'kubeadm made this node' }],
    ),
  ];
}

/** The sockets for which kubeadm looks. */
const SOCKETS: readonly (readonly [directory: string, name: string])[] = [
  ['/run', 'cri-dockerd.sock'],
  ['/run/containerd', 'containerd.sock'],
  ['/run/crio', 'crio.sock'],
];

function sockets(facts: NodeFacts): readonly Finding[] {
  const there = SOCKETS.filter(([directory, name]) => facts.directories[directory]?.includes(name) === true);
  if (!isKubeadm(facts) || there.length < 2) return [];
  const paths = there.map(([directory, name]) => `${directory}/${name}`);
  return [
    finding(
      'review',
      'kubelet-sockets',
      `kubeadm finds more than one runtime here: ${listed(paths)}.`,
      'Pass --cri-socket to kubeadm until the present runtime is stopped and disabled; otherwise it ends with "Found multiple CRI endpoints".',
      paths.map((where) => ({ where, what: 'a socket' })),
    ),
  ];
}

function crictl(facts: NodeFacts): readonly Finding[] {
  const lines = linesIn(facts, '/etc/crictl.yaml', /^\s*["']?(runtime|image)-endpoint["']?\s*:/).filter(
    ({ what }) => !TARGETS.test(what.replace(/["'\s]+$/, '')),
  );
  if (lines.length === 0) return [];
  return [
    finding(
      'change',
      'crictl-conf',
      'crictl asks the present runtime.',
      'The plan writes the new socket into /etc/crictl.yaml.',
      lines,
    ),
  ];
}

function problems({ kubelet: snapshot }: NodeFacts): readonly Finding[] {
  const found = snapshot?.problems ?? [];
  if (found.length === 0) return [];
  return [
    finding(
      'block',
      'kubelet-config',
      "kubelet's configuration cannot be read or understood.",
      'Correct it first: the plan changes this file.',
      found.map((problem) => {
        const [where = '', ...rest] = problem.split(': ');
        return { where, what: rest.join(': ') };
      }),
    ),
  ];
}
