import type { Sections } from './probe';

const PREFIX = 'namespace.';

/**
 * Returns for each container with whom it shares each namespace: with the node (`node`), with another container of the pod (`pod`), or
 * with neither (`own`).
 * @param pod the sections of the pod's containers.
 * @param node the namespaces of a process of the node, such as `net:[4026531840]`, by kind.
 */
export function namespaceEffects(
  pod: readonly Sections[],
  node: ReadonlyMap<string, string>,
): Map<string, string>[] {
  return pod.map((sections, at) => {
    const others = pod.filter((_, other) => other !== at);
    const effects = new Map<string, string>();
    for (const [name, link] of sections) {
      if (!name.startsWith(PREFIX)) continue;
      const kind = name.slice(PREFIX.length);
      const isShared = others.some((other) => other.get(name) === link);
      effects.set(`namespace ${kind}`, link === node.get(kind) ? 'node' : isShared ? 'pod' : 'own');
    }
    return effects;
  });
}
