import { flagOf } from '../lib/flags';
import type { NodeFacts, ProgramFacts, Sourced } from './facts';

/** Options of the bridge that decide on settings of the target. */
export const BRIDGE_OPTIONS = [
  'cni-bin-dir',
  'cni-conf-dir',
  'pod-infra-container-image',
  'registry-config',
] as const;

/** Returns the running bridges, of which a node has one. */
export function bridges({ processes }: Pick<NodeFacts, 'processes'>): ProgramFacts[] {
  return (processes?.programs ?? []).filter(({ name }) => name === 'cri-dockerd' || name === 'dockbridge');
}

/** Returns the units of the running bridges, each service with the socket of the same name, whether that exists or not. */
export function bridgeUnits(facts: Pick<NodeFacts, 'processes'>): string[] {
  return bridges(facts).flatMap(({ unit = '' }) =>
    unit === '' ? [] : [unit, unit.replace(/\.service$/, '.socket')],
  );
}

/** Returns an option of the bridge. A flag wins over the environment and the files. */
export function bridgeOption(
  facts: Pick<NodeFacts, 'processes' | 'bridgeOptions'>,
  name: (typeof BRIDGE_OPTIONS)[number],
): Sourced {
  for (const { args } of bridges(facts)) {
    const value = flagOf(args, name) ?? '';
    if (value !== '') return { value, from: 'flag' };
  }
  return facts.bridgeOptions?.[name] ?? { value: '', from: '' };
}

/** Returns the directories that an option names. */
export function directoriesIn({ value }: Sourced): string[] {
  return value.split(/[:,]/).filter((path) => path.startsWith('/'));
}
