import { basename } from 'node:path';
import type { NodeFacts } from '../facts';

/** The units of a bridge; the first ones are assumed when no file of the node tells. */
const BRIDGES = {
  dockbridge: {
    usual: ['dockbridge.service'],
    all: ['dockbridge.service', 'dockbridge.socket'],
  },
  'cri-docker': {
    usual: ['cri-docker.service', 'cri-docker.socket'],
    all: ['cri-docker.service', 'cri-docker.socket', 'cri-dockerd.service', 'cri-dockerd.socket'],
  },
} as const;
const DOCKER = ['docker.service', 'docker.socket'];

/** Returns the units that the migration stops, the kubelet's side first. systemctl fails on a unit that does not exist. */
export function oldUnits(
  facts: Pick<NodeFacts, 'files'>,
  bridge: keyof typeof BRIDGES,
  keepDocker: boolean,
): string[] {
  const { usual, all } = BRIDGES[bridge];
  return [...present(facts, all, usual), ...(keepDocker ? [] : present(facts, DOCKER, DOCKER))];
}

function present(
  { files }: Pick<NodeFacts, 'files'>,
  names: readonly string[],
  fallback: readonly string[],
): readonly string[] {
  const there = new Set(
    Object.keys(files)
      .filter((path) => /\/systemd\/system\/[^/]+$/.test(path))
      .map((path) => basename(path)),
  );
  const found = names.filter((name) => there.has(name));
  return found.length > 0 ? found : fallback;
}
