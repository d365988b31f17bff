import { flagOf } from '../../lib/flags';
import { settingFindings } from '../mapping/setting-findings';
import type { NodeFacts } from '../facts';
import type { Theme } from './finding-of';

const DAEMON_JSON = '/etc/docker/daemon.json';

/** What becomes of each setting of the Engine. A broken file is a finding of node-files, which knows the line. */
export const settings: Theme = (facts) => {
  const path = daemonJsonOf(facts);
  const { text } = facts.files[path] ?? {};
  const args = facts.engine?.dockerdArguments;
  return settingFindings({
    ...(text === undefined ? {} : { file: { path, text } }),
    ...(args === undefined ? {} : { arguments: args }),
  }).filter(({ id }) => id !== 'daemon-json-broken');
};

/** Returns the path of dockerd's configuration, whether the file exists or not. */
export function daemonJsonOf({ engine }: Pick<NodeFacts, 'engine'>): string {
  const given = flagOf(engine?.dockerdArguments ?? [], 'config-file') ?? '';
  return given === '' ? DAEMON_JSON : given;
}
