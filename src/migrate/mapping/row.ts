import type { Severity } from '../finding';

export type Target = 'containerd' | 'cri-o';

export const TARGETS: readonly Target[] = ['containerd', 'cri-o'];

/** What becomes of a setting on one target. */
export interface Outcome {
  /** `block` forbids the migration. `change` needs work by the plan or a person. `review` means a loss, and `ok` means none. */
  readonly severity: Severity;
  /** Completes the sentence `On containerd, the setting …`. */
  readonly becomes: string;
  /** What a person has to do, in whole sentences; '' when the plan does everything or nothing has to be done. */
  readonly advice: string;
  /** Whether the plan writes the counterpart into a file. */
  readonly isPlanned: boolean;
}

/** Which section of docs/migrating.md explains a setting. */
export type Topic = 'registries' | 'containers' | 'runtimes' | 'storage' | 'logs' | 'network' | 'api';

/** What is known of the node's containerd. */
export interface NodeState {
  /** Whether the Engine runs on the containerd that becomes the target. */
  readonly isContainerdShared: boolean;
  /** Where that containerd keeps its data. */
  readonly containerdRoot: string;
}

/** Stands for a node of which nothing is known. */
export const ANY_NODE: NodeState = { isContainerdShared: false, containerdRoot: '/var/lib/containerd' };

/** One key of dockerd's configuration. */
export interface SettingRow {
  /** The keys from the root with dots between them. `*` stands for a name that the user chooses. */
  readonly key: string;
  readonly topic: Topic;
  /** What becomes of a value. An empty value is never asked about: it is the same as no setting. */
  readonly outcomes: (value: unknown, node?: NodeState) => Readonly<Record<Target, Outcome>>;
}

/** An outcome that the plan writes into a file. */
export function planned(becomes: string, advice = ''): Outcome {
  return { severity: 'change', becomes, advice, isPlanned: true };
}

/** An outcome that a person has to bring about. */
export function byHand(becomes: string, advice: string): Outcome {
  return { severity: 'change', becomes, advice, isPlanned: false };
}

/** A setting whose effect is lost, which matters only on some nodes. */
export function lost(becomes: string, advice: string): Outcome {
  return { severity: 'review', becomes, advice, isPlanned: false };
}

/** A setting that nobody misses on the target. */
export function dropped(becomes: string): Outcome {
  return { severity: 'ok', becomes, advice: '', isPlanned: false };
}

/** A row whose outcome does not depend on the value. */
export function row(topic: Topic, key: string, containerd: Outcome, crio = containerd): SettingRow {
  return { key, topic, outcomes: () => ({ containerd, 'cri-o': crio }) };
}

/** A row whose outcome depends on the value. */
export function rowBy(
  topic: Topic,
  key: string,
  outcome: (value: unknown, node: NodeState) => Outcome | readonly [containerd: Outcome, crio: Outcome],
): SettingRow {
  const outcomes = (value: unknown, node = ANY_NODE): Readonly<Record<Target, Outcome>> => {
    const both = outcome(value, node);
    return isPair(both) ? { containerd: both[0], 'cri-o': both[1] } : { containerd: both, 'cri-o': both };
  };
  return { key, topic, outcomes };
}

function isPair(value: Outcome | readonly [Outcome, Outcome]): value is readonly [Outcome, Outcome] {
  return Array.isArray(value);
}
