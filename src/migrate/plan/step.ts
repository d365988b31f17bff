import type { Target } from '../mapping/row';
import type { CertificateCopy } from './certificates';
import type { Check } from './check';
import type { DataRoot } from './clean-up';
import type { PlannedFile } from './node-file';
import type { PackageTool } from './packages';
import type { OldUnits } from './units';

/** One step of a plan, which a person or `dockbridge migrate apply` carries out. */
export interface Step {
  readonly id: string;
  readonly title: string;
  /** Why the step is there and what to pay attention to, in whole sentences. */
  readonly why: string;
  /** Where the commands run: on this node, or wherever kubectl reaches the cluster. */
  readonly place: 'node' | 'cluster';
  readonly commands: readonly string[];
  /** Commands that show that the step succeeded. */
  readonly check: readonly Check[];
  /** Commands that take the step back; empty when there is nothing to take back. */
  readonly undo: readonly string[];
  /** Commands that show that the step was taken back. */
  readonly undoCheck: readonly Check[];
  /** The files that the step puts in place. */
  readonly files: readonly string[];
  /** Whether there is no way back after the step. */
  readonly isFinal: boolean;
  /** Whether the step is left to a person: `dockbridge migrate apply` never does it. */
  readonly isManual: boolean;
  /** Whether there is nothing to do when all checks succeed already. */
  readonly isDoneWhenChecked: boolean;
  /** How long one of the commands may take, in seconds. */
  readonly limitSeconds: number;
}

/** Most commands end within seconds, but systemd gives a service 90 s to stop, and some units allow more. */
const LIMIT_SECONDS = 600;

/** What the steps depend on. */
export interface StepFacts {
  readonly target: Target;
  readonly unit: 'containerd' | 'crio';
  readonly endpoint: string;
  readonly oldEndpoint: string;
  readonly oldUnits: OldUnits;
  /** The name of the Node object, quoted for a shell. */
  readonly node: string;
  readonly files: readonly PlannedFile[];
  readonly keepDocker: boolean;
  readonly isContainerdShared: boolean;
  readonly isControlPlane: boolean;
  readonly certificates: CertificateCopy;
  readonly hasKubelet: boolean;
  /** The path of the KubeletConfiguration; '' when there is none. */
  readonly kubeletConfig: string;
  /** The file with which containerd starts. */
  readonly mainPath: string;
  /** The files and directories that the backup holds. */
  readonly keptFiles: readonly string[];
  /** The path of the backup, which belongs to this plan only. */
  readonly backup: string;
  readonly packageTool: PackageTool;
  /** Whether the target's program is on the node. */
  readonly isInstalled: boolean;
  /** Whether the target ran before the migration. */
  readonly ranBefore: boolean;
  /** The version of containerd's configuration. */
  readonly configVersion: 2 | 3;
  /** The namespaces of a shared containerd in which the Engine keeps its images. */
  readonly engineNamespaces: readonly string[];
  /** What becomes of the Engine's data-root. */
  readonly dataRoot: DataRoot;
}

/** Makes a step that is done on the node and has nothing but its title and its reason, unless `rest` says more. */
export function step(
  id: string,
  title: string,
  why: string,
  rest: Partial<Omit<Step, 'id' | 'title' | 'why'>>,
): Step {
  return {
    id,
    title,
    why,
    place: 'node',
    commands: [],
    check: [],
    undo: [],
    undoCheck: [],
    files: [],
    isFinal: false,
    isManual: false,
    isDoneWhenChecked: false,
    limitSeconds: LIMIT_SECONDS,
    ...rest,
  };
}
