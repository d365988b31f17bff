import { flagOf } from '../lib/flags';
import type { JsonObject } from '../lib/json';
import type { NodeFacts } from './facts';
import { engineSettings } from './mapping/setting';

const DAEMON_JSON = '/etc/docker/daemon.json';

/** Returns the path of dockerd's configuration, whether the file exists or not. */
export function daemonJsonOf({ engine }: Pick<NodeFacts, 'engine'>): string {
  const given = flagOf(engine?.dockerdArguments ?? [], 'config-file') ?? '';
  return given === '' ? DAEMON_JSON : given;
}

/** Returns the settings of the Engine without secrets: those of daemon.json and of the command line as one object. */
export function mergedSettings(facts: Pick<NodeFacts, 'files' | 'engine'>): JsonObject {
  const path = daemonJsonOf(facts);
  const { text } = facts.files[path] ?? {};
  return engineSettings({
    ...(text === undefined ? {} : { file: { path, text } }),
    arguments: facts.engine?.dockerdArguments ?? [],
  }).merged;
}
