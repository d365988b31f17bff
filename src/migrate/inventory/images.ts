import { bridgeOption, bridges } from '../bridge';
import { isContainerdStore } from './engine-store';
import type { NodeContainer, NodeFacts, NodeImage } from '../facts';
import { count, finding, linesIn, listed, type Evidence, type Finding, type Theme } from './finding-of';
import { imageNames, placeOf, podContainers } from './pods';

/** Which images of the node the new runtime cannot get by itself. */
export const images: Theme = (facts) => [
  ...localImages(facts),
  ...digestPins(facts),
  ...platforms(facts),
  ...schema1(facts),
  ...pauseImage(facts),
];

function titleOf({ RepoTags, Id }: NodeImage): string {
  const names = (RepoTags ?? []).filter((name) => name !== '<none>:<none>');
  return names.length > 0 ? listed(names) : Id.slice(0, 19);
}

/** Images of sandboxes count as unused: the new runtime has a sandbox image of its own. */
function usersOf(facts: NodeFacts): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const pod of podContainers(facts)) {
    if (pod.isSandbox) continue;
    const { Image } = pod.container;
    users.set(Image, [...(users.get(Image) ?? []), placeOf(pod)]);
  }
  return users;
}

function localImages(facts: NodeFacts): readonly Finding[] {
  const { engine } = facts;
  if (engine === undefined) return [];
  const users = usersOf(facts);
  if (isContainerdStore(engine.info)) return unknownOrigin(engine.images, users);
  const sandboxes = new Set(
    podContainers(facts).flatMap(({ isSandbox, container }) => (isSandbox ? [container.Image] : [])),
  );
  const local = engine.images.filter(
    ({ RepoTags, RepoDigests, Id }) =>
      (RepoDigests ?? []).filter((name) => !name.startsWith('<none>')).length === 0 &&
      ((RepoTags ?? []).length > 0 || users.has(Id)) &&
      !(RepoTags ?? []).some((name) => name.startsWith(OWN_PAUSE)) &&
      !(sandboxes.has(Id) && !users.has(Id)),
  );
  const used = local.filter(({ Id }) => users.has(Id));
  const idle = local.filter(({ Id }) => !users.has(Id));
  if (local.length === 0) return [finding('ok', 'local-image', 'All images come from registries.')];
  return [
    ...(used.length === 0
      ? []
      : [
          finding(
            'change',
            'local-image',
            `${count(used.length, 'image')} of pods ${used.length === 1 ? 'comes' : 'come'} from no registry and ${used.length === 1 ? 'exists' : 'exist'} only in the Engine.`,
            'Carry them with `dockbridge migrate images --only-local`, or push them to a registry and use that name in the pods.',
            used.map((image) => imageEvidence(image, users.get(image.Id) ?? [])),
          ),
        ]),
    ...(idle.length === 0
      ? []
      : [
          finding(
            'review',
            'local-image',
            `${count(idle.length, 'image')} without a container ${idle.length === 1 ? 'comes' : 'come'} from no registry.`,
            'Carry them too (`dockbridge migrate images --only-local`) if a pod may need one later.',
            idle.map((image) => imageEvidence(image, [])),
          ),
        ]),
  ];
}

/** The containerd store gives locally built images a digest, too, so both kinds look the same. */
function unknownOrigin(
  all: readonly NodeImage[],
  users: ReadonlyMap<string, readonly string[]>,
): readonly Finding[] {
  const used = all.filter(({ Id }) => users.has(Id));
  if (used.length === 0) return [];
  return [
    finding(
      'review',
      'local-image',
      "The Engine's containerd store does not tell which images were built here.",
      '`dockbridge migrate images --used` carries every image that a pod uses, so that none is lost. With --dry-run it only lists them.',
      used.map((image) => imageEvidence(image, users.get(image.Id) ?? [])),
    ),
  ];
}

function imageEvidence(image: NodeImage, users: readonly string[]): Evidence {
  const [first, ...others] = users;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const size = `${(image.Size / 1e6).toFixed(1)} MB`;
  return {
    where: `image ${titleOf(image)}`,
    what: first === undefined ? size : `${size}, used by ${first}${more}`,
  };
}

function digestPins(facts: NodeFacts): readonly Finding[] {
  const pods = podContainers(facts).flatMap((pod): Evidence[] => {
    const { RequestedImage = '' } = pod.container;
    return RequestedImage.includes('@sha256:') ? [{ where: placeOf(pod), what: RequestedImage }] : [];
  });
  if (pods.length === 0) return [];
  return [
    finding(
      'review',
      'digest-pin',
      `${count(pods.length, 'container')} ${pods.length === 1 ? 'names its image' : 'name their images'} by digest.`,
      'An image that `docker save` carries may lose the digest of the registry. Make sure that the node reaches the registry, because kubelet then pulls these images again.',
      pods,
    ),
  ];
}

function platforms(facts: NodeFacts): readonly Finding[] {
  const { engine } = facts;
  if (engine === undefined) return [];
  const { Arch, Os } = engine.version;
  const users = usersOf(facts);
  const strange = engine.images.filter(
    ({ Architecture, Os: os, Id }) =>
      users.has(Id) &&
      ((Architecture !== undefined && Architecture !== '' && Architecture !== Arch) ||
        (os !== undefined && os !== '' && os !== Os)),
  );
  if (strange.length === 0) return [];
  return [
    finding(
      'change',
      'image-arch',
      `${count(strange.length, 'image')} of pods ${strange.length === 1 ? 'is' : 'are'} for another platform than ${Os}/${Arch}.`,
      "The new runtime pulls images of the node's platform only. Publish the image for this platform.",
      strange.map((image) => ({
        where: `image ${titleOf(image)}`,
        what: `${image.Os ?? Os}/${image.Architecture ?? ''}, used by ${listed(users.get(image.Id) ?? [])}`,
      })),
    ),
  ];
}

/** The variable with which Engine 26 and 27 still pull such images (docs.docker.com, deprecated features). */
const SCHEMA1 = /DOCKER_ENABLE_DEPRECATED_PULL_SCHEMA_1_IMAGE/;

function schema1(facts: NodeFacts): readonly Finding[] {
  const lines = Object.keys(facts.files)
    .filter((path) => path.includes('/docker.service') || path === '/etc/default/docker')
    .flatMap((path) => linesIn(facts, path, SCHEMA1));
  if (lines.length === 0) return [];
  return [
    finding(
      'block',
      'schema1',
      'The Engine is told to pull images with manifests of schema 1, which containerd 2.1 and CRI-O refuse.',
      'Build or push these images again with a current tool, then remove the variable.',
      lines,
    ),
  ];
}

const PAUSE = 'pod-infra-container-image';
/** dockbridge makes this image itself when it cannot get the configured one. */
const OWN_PAUSE = 'dockbridge.local/pause';

function pauseImage(facts: NodeFacts): readonly Finding[] {
  const { value, from } = bridgeOption(facts, PAUSE);
  const [bridge] = bridges(facts);
  const evidence: Evidence[] = [
    ...(value === ''
      ? []
      : [
          from === 'flag'
            ? { where: `process ${bridge?.name ?? ''}`, what: `--${PAUSE}=${value}` }
            : { where: from, what: `${PAUSE}: ${value}` },
        ]),
  ];
  if (evidence.length === 0) return sandboxImages(facts);
  return [
    finding(
      'change',
      'pause-image',
      'The present runtime has a pause image of its own, so the default of the new runtime may be out of reach.',
      'Set it as `pinned_images.sandbox` (containerd 2) or `pause_image` (CRI-O). The plan does that. Without it, no pod starts on a node that cannot reach registry.k8s.io.',
      evidence,
    ),
  ];
}

function sandboxImages(facts: NodeFacts): readonly Finding[] {
  const { engine } = facts;
  const names = (container: NodeContainer): readonly string[] =>
    engine === undefined ? [] : imageNames(engine, container);
  const used = [
    ...new Set(
      podContainers(facts).flatMap(({ isSandbox, container }) => (isSandbox ? names(container) : [])),
    ),
  ];
  const strange = used.filter((name) => !/^registry\.k8s\.io\/pause\b/.test(name));
  if (strange.length === 0) return [];
  if (strange.some((name) => name.startsWith(OWN_PAUSE)))
    return [
      finding(
        'change',
        'pause-image',
        'dockbridge made the pause image itself, because the node could not get one from a registry.',
        'The new runtime makes none: load a pause image into it, and set it as `pinned_images.sandbox` (containerd 2) or `pause_image` (CRI-O).',
        strange.map((name) => ({ where: `image ${name}`, what: 'image of sandboxes' })),
      ),
    ];
  return [
    finding(
      'review',
      'pause-image',
      `The sandboxes of pods use ${listed(strange)}.`,
      'If the node cannot reach registry.k8s.io, set the pause image of the new runtime, or load it beforehand.',
      strange.map((name) => ({ where: `image ${name}`, what: 'image of sandboxes' })),
    ),
  ];
}
