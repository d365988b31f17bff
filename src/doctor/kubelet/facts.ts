import { flagOf, flagsOf } from '../../lib/flags';
import type { KubeletConfig } from './config';

/** What was found of this node's kubelet; nothing is judged yet. */
export interface KubeletFacts {
  /** For people: `process 812`, or the files; '' when nothing was found. */
  readonly from: string;
  readonly isRunning: boolean;
  readonly args: readonly string[];
  /** The file that people edit. */
  readonly file: string;
  /** What was read: the file, then its drop-ins. Later ones win. */
  readonly configs: readonly KubeletConfig[];
  /** What could not be read, each with its path. */
  readonly problems: readonly string[];
}

/** What a kubelet makes of its command line and its files. */
export interface EffectiveKubelet {
  readonly gates: ReadonlyMap<string, boolean>;
  /** '' where it was not told. */
  readonly endpoint: string;
  /** '' where it was not told. */
  readonly cgroupDriver: string;
}

/** The command line wins over files, for each feature gate by itself (kubelet's cmd/kubelet/app/server.go). */
export function effectiveKubelet({
  args,
  configs,
}: Pick<KubeletFacts, 'args' | 'configs'>): EffectiveKubelet {
  const fromFiles = configs.flatMap(({ featureGates }) => Object.entries(featureGates));
  const last = (key: 'containerRuntimeEndpoint' | 'cgroupDriver'): string =>
    configs.map((config) => config[key]).findLast((value) => value !== '') ?? '';
  return {
    gates: new Map([...fromFiles, ...flagsOf(args, 'feature-gates').flatMap(gatesOf)]),
    endpoint: flagOf(args, 'container-runtime-endpoint') ?? last('containerRuntimeEndpoint'),
    cgroupDriver: flagOf(args, 'cgroup-driver') ?? last('cgroupDriver'),
  };
}

/** `A=true,B=false`. */
function gatesOf(value: string): [string, boolean][] {
  return value.split(',').flatMap((item) => {
    const [name = '', state = ''] = item.trim().split('=');
    return name === '' ? [] : [[name, /^(1|t|true)$/i.test(state)]];
  });
}
