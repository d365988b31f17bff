import type { NodeFacts } from '../facts';
import { finding, linesIn, type Evidence, type Theme } from './finding-of';
import { foreignContainers, labelOf, nameOf, placeOf, podContainers } from './pods';

/** Kubernetes' own programs, which RKE1 runs as containers of the Engine. */
const COMPONENTS: ReadonlySet<string> = new Set([
  'kubelet',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
]);

/** Tells what kind of node this is, because some kinds cannot be changed in place. */
export const nodeKind: Theme = (facts) => [
  ...kubeletInDocker(facts),
  ...minikube(facts),
  ...kind(facts),
  ...k3s(facts),
  ...kubespray(facts),
  ...staticPods(facts),
];

/** Whether the container is one of Kubernetes' own programs outside any pod. */
export function isComponent(name: string): boolean {
  return COMPONENTS.has(name);
}

function kubeletInDocker(facts: NodeFacts): ReturnType<Theme> {
  const components = foreignContainers(facts).filter((container) => isComponent(nameOf(container)));
  if (!components.some((container) => nameOf(container) === 'kubelet')) return [];
  return [
    finding(
      'block',
      'kubelet-in-docker',
      'kubelet itself runs in a container of the Engine, as on nodes of RKE1.',
      'There is no way to move such a node in place. Add a node of RKE2, K3s or kubeadm to a new cluster, move the workloads, and remove this node.',
      components.map((container) => ({
        where: `container ${nameOf(container)}`,
        what: `image ${container.Config.Image}`,
      })),
    ),
  ];
}

function minikube({ directories, files }: NodeFacts): ReturnType<Theme> {
  if (directories['/var/lib/minikube'] === undefined) return [];
  const evidence: Evidence[] = [{ where: '/var/lib/minikube', what: 'the directory exists' }];
  return [
    finding(
      'block',
      'managed-node',
      'minikube manages this node.',
      'Run `minikube delete`, then `minikube start --container-runtime=containerd`.',
      [...evidence, ...linesIn({ files }, '/etc/os-release', /minikube/i)],
    ),
  ];
}

function kind({ directories, engine }: NodeFacts): ReturnType<Theme> {
  const nodes = (engine?.containers ?? []).filter((one) => labelOf(one, 'io.x-k8s.kind.cluster') !== '');
  if (nodes.length > 0)
    return [
      finding(
        'review',
        'managed-node',
        'kind keeps nodes of a cluster of its own as containers of this Engine.',
        'kind needs an Engine or another supported provider. Move these clusters to another machine, or keep Docker.',
        nodes.map((one) => ({
          where: `container ${nameOf(one)}`,
          what: `cluster ${labelOf(one, 'io.x-k8s.kind.cluster')}`,
        })),
      ),
    ];
  if (directories['/kind'] === undefined) return [];
  return [
    finding(
      'block',
      'managed-node',
      'This node is a container of kind.',
      'kind makes its nodes from an image with containerd. Delete the cluster and create it again.',
      [{ where: '/kind', what: 'the directory exists' }],
    ),
  ];
}

const K3S_UNITS = ['k3s.service', 'k3s-agent.service'].flatMap((unit) =>
  ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'].map(
    (directory) => `${directory}/${unit}`,
  ),
);

function k3s(facts: NodeFacts): ReturnType<Theme> {
  const isThere = facts.directories['/etc/rancher']?.some((name) => name === 'k3s/') === true;
  const units = K3S_UNITS.filter((path) => facts.files[path] !== undefined);
  if (!isThere && units.length === 0) return [];
  const asks = units.flatMap((path) => linesIn(facts, path, /(^|\s|')--docker\b/));
  if (asks.length === 0)
    return [
      finding(
        'review',
        'managed-node',
        'K3s manages this node, and its units do not ask for Docker.',
        "K3s brings its own containerd. If no pod runs on the Engine, remove Docker; otherwise look for `docker: true` in K3s' configuration.",
        units.map((path) => ({ where: path, what: 'a unit of K3s' })),
      ),
    ];
  return [
    finding(
      'block',
      'managed-node',
      'K3s manages this node and uses Docker.',
      'Drain the node, remove `--docker` from the unit, restart K3s, and uncordon the node: K3s brings its own containerd.',
      asks,
    ),
  ];
}

function kubespray({ directories }: NodeFacts): ReturnType<Theme> {
  if (directories['/etc/kubernetes']?.includes('kubelet.env') !== true) return [];
  return [
    finding(
      'block',
      'managed-node',
      'Kubespray manages this node.',
      "Change `container_manager` in Kubespray's inventory as its documentation says, node by node. Its next run would undo a change made here.",
      [{ where: '/etc/kubernetes/kubelet.env', what: "kubelet's flags as Kubespray keeps them" }],
    ),
  ];
}

const MANIFESTS = '/etc/kubernetes/manifests';

function staticPods(facts: NodeFacts): ReturnType<Theme> {
  const files = (facts.directories[MANIFESTS] ?? []).filter((name) => /\.(ya?ml|json)$/.test(name));
  const pods = podContainers(facts).filter(
    ({ container, isSandbox }) =>
      isSandbox && labelOf(container, 'annotation.kubernetes.io/config.source') === 'file',
  );
  if (files.length === 0 && pods.length === 0) return [];
  const hasEtcd = files.some((name) => name.startsWith('etcd'));
  return [
    finding(
      'review',
      'static-pods',
      `This node has static pods, which a drain leaves in place${hasEtcd ? '; one of them is a member of etcd' : ''}.`,
      `They stop with kubelet and start again on the new runtime. Move one control plane node at a time${hasEtcd ? ', and check with `etcdctl endpoint health --cluster` that the other members are healthy' : ''}.`,
      files.length > 0
        ? files.map((name) => ({ where: `${MANIFESTS}/${name}`, what: 'a static pod' }))
        : pods.map((pod) => ({ where: placeOf(pod), what: 'a static pod' })),
    ),
  ];
}
