import { withoutSlash, parseEngineName } from '../../translate/shared/names';
import { CONTAINER_TYPE, SANDBOX_TYPE, TYPE_LABEL } from '../../translate/shared/labels';
import type { EngineSnapshot, NodeContainer, NodeFacts } from '../facts';

/** A container of a pod, and the pod. */
export interface PodContainer {
  readonly container: NodeContainer;
  readonly isSandbox: boolean;
  /** `namespace/name`. */
  readonly pod: string;
  /** The container's name in the pod; `POD` for a sandbox. */
  readonly name: string;
}

/** Returns the sandboxes and containers of pods, whichever runtime made them. */
export function podContainers({ engine }: Pick<NodeFacts, 'engine'>): readonly PodContainer[] {
  return (engine?.containers ?? []).flatMap((container) => {
    const type = labelOf(container, TYPE_LABEL);
    if (type !== SANDBOX_TYPE && type !== CONTAINER_TYPE) return [];
    const parsed = parseEngineName(nameOf(container));
    const namespace = parsed?.pod.namespace ?? labelOf(container, 'io.kubernetes.pod.namespace');
    const name = parsed?.pod.name ?? labelOf(container, 'io.kubernetes.pod.name');
    return [
      {
        container,
        isSandbox: type === SANDBOX_TYPE,
        pod: `${namespace}/${name}`,
        name: parsed?.first ?? labelOf(container, 'io.kubernetes.container.name'),
      },
    ];
  });
}

/** Returns the containers that belong to no pod. */
export function foreignContainers({ engine }: Pick<NodeFacts, 'engine'>): readonly NodeContainer[] {
  return (engine?.containers ?? []).filter((container) => {
    const type = labelOf(container, TYPE_LABEL);
    return type !== SANDBOX_TYPE && type !== CONTAINER_TYPE;
  });
}

export function nameOf({ Name }: NodeContainer): string {
  return withoutSlash(Name);
}

export function labelOf({ Config }: NodeContainer, label: string): string {
  return Config.Labels?.[label] ?? '';
}

/** `container web of pod default/web-0`. */
export function placeOf({ name, pod, isSandbox }: PodContainer): string {
  return isSandbox ? `pod ${pod}` : `container ${name} of pod ${pod}`;
}

/** Returns the names of a container's image: those of the image, and the one it was made with. */
export function imageNames(engine: EngineSnapshot, container: NodeContainer): readonly string[] {
  const image = engine.images.find(({ Id }) => Id === container.Image);
  const names = [container.RequestedImage ?? '', container.Config.Image, ...(image?.RepoTags ?? [])];
  return [...new Set(names.filter((name) => name !== '' && !name.startsWith('sha256:')))];
}
