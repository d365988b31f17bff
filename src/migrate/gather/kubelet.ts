import { join } from 'node:path';
import { redactArguments } from '../../doctor/bundle/redact';
import { effectiveKubelet, readKubelet, type KubeletFacts } from '../../doctor/kubelet-facts';
import { flagOf } from '../../lib/flags';
import type { NodeProcess } from '../../node/process/node-processes';
import type { KubeletSnapshot, Sourced } from '../facts';
import { NodeRoot } from './node-root';

/** Reads the settings of the node's kubelet. Returns undefined when the node has none. */
export async function readKubeletSnapshot(
  node: NodeRoot,
  processes: readonly NodeProcess[],
): Promise<KubeletSnapshot | undefined> {
  const proc = join(node.root, 'proc');
  const facts = await readKubelet({
    ...{ processes, root: node.root, proc },
    locate: (root, path) => new NodeRoot(root).locate(path),
  });
  if (facts.from === '') return undefined;
  const effective = effectiveKubelet(facts);
  return {
    isRunning: facts.isRunning,
    from: facts.from,
    arguments: redactArguments(facts.args),
    configFile: facts.configs.length > 0 || facts.problems.length > 0 ? facts.file : '',
    endpoint: sourced(facts, 'container-runtime-endpoint', 'containerRuntimeEndpoint', effective.endpoint),
    cgroupDriver: sourced(facts, 'cgroup-driver', 'cgroupDriver', effective.cgroupDriver),
    problems: facts.problems,
  };
}

/** kubelet prefers its flags to its files, and later files to earlier ones. */
function sourced(
  { args, configs, file }: KubeletFacts,
  flag: string,
  key: 'containerRuntimeEndpoint' | 'cgroupDriver',
  value: string,
): Sourced {
  if (value === '') return { value, from: '' };
  if (flagOf(args, flag) !== undefined) return { value, from: 'flag' };
  const at = configs.findLastIndex((config) => config[key] !== '');
  const dropIns = flagOf(args, 'config-dir') ?? '';
  return { value, from: at === 0 || dropIns === '' ? file : dropIns };
}
