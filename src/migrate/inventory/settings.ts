import { settingFindings } from '../mapping/setting-findings';
import { daemonJsonOf } from '../engine-settings';
import { nodeState } from '../target-root';
import type { Theme } from './finding-of';

/** What becomes of each setting of the Engine. A broken file is a finding of node-files, which knows the line. */
export const settings: Theme = (facts) => {
  const path = daemonJsonOf(facts);
  const { text } = facts.files[path] ?? {};
  const args = facts.engine?.dockerdArguments;
  const configuration = {
    ...(text === undefined ? {} : { file: { path, text } }),
    ...(args === undefined ? {} : { arguments: args }),
  };
  return settingFindings(configuration, undefined, nodeState(facts)).filter(
    ({ id }) => id !== 'daemon-json-broken',
  );
};
