import type { ComparedCall, Comparison } from '../../harness/compare/comparison';
import type { Json } from '../../proto/fields';
import type { Finding } from '../finding';
import { count, finding, listed, shortened, type Evidence, type Severity } from '../inventory/finding-of';
import type { ImageAnswer, StaticSide, UsedImage } from './static-side';

/** The conditions without which a kubelet starts no pod. */
const NEEDED = ['RuntimeReady', 'NetworkReady'];
/** How many pods one line of evidence names. */
const NAMED = 3;

/** Returns a finding for each condition of B that keeps a kubelet from starting pods. */
export function readinessFindings({ conditions }: StaticSide): Finding[] {
  const missing = NEEDED.flatMap((type): Evidence[] => {
    const condition = conditions.find((one) => one.type === type);
    if (condition?.isMet === true) return [];
    return [{ where: `${type} on B`, what: condition?.why ?? 'not reported' }];
  });
  if (missing.length === 0) return [];
  return [
    finding(
      'block',
      'verify-ready',
      `B reports that ${listed(missing.map(({ where }) => where.replace(/ on B$/, '')))} is not true, so no pod would start there.`,
      'NetworkReady needs a CNI configuration in /etc/cni/net.d that B reads, and its plugins. RuntimeReady: read the log of B.',
      missing,
    ),
  ];
}

/** Returns a finding if pods on A use handlers (RuntimeClasses) that B does not have. */
export function handlerFindings(a: StaticSide, b: StaticSide): Finding[] {
  // A runtime that names no handlers cannot be judged.
  if (b.handlers.length === 0) return [];
  const missing = [...a.usedHandlers].filter(([handler]) => handler !== '' && !b.handlers.includes(handler));
  if (missing.length === 0) return [];
  return [
    finding(
      'block',
      'verify-handler',
      `Pods use ${count(missing.length, 'handler')} of a RuntimeClass that B does not have. These pods would not start there.`,
      `Configure the handlers on B under the same names (containerd: runtimes.NAME, CRI-O: [crio.runtime.runtimes.NAME]), and restart B.`,
      missing.map(([handler, pods]) => ({ where: `handler ${handler}`, what: named(pods) })),
    ),
  ];
}

/** Returns findings for images of A's containers that B lacks, or that have another content there. */
export function imageFindings(
  used: readonly UsedImage[],
  onB: ReadonlyMap<string, ImageAnswer>,
  endpointB: string,
): Finding[] {
  const evidence = ({ name, containers }: UsedImage): Evidence => ({
    where: `image ${name}`,
    what: named(containers),
  });
  const missing = used.filter(({ name }) => !onB.has(name));
  const other = used.filter((image) => {
    const answer = onB.get(image.name);
    return answer !== undefined && !isSameImage(image, answer);
  });
  const carry = `\`dockbridge migrate images --to ${endpointB}\``;
  return [
    ...(missing.length === 0
      ? []
      : [
          finding(
            'change',
            'verify-image',
            `B lacks ${count(missing.length, 'image')} that containers of A use. A kubelet pulls them, and a pod whose image is in no registry does not start.`,
            `Carry them with ${carry}.`,
            missing.map(evidence),
          ),
        ]),
    ...(other.length === 0
      ? []
      : [
          finding(
            'change',
            'verify-other-image',
            `${count(other.length, 'name')} of images in use lead to another image on B. Pods would run other programs there.`,
            `Carry them again with ${carry}, which makes the names lead to A's images.`,
            other.map(evidence),
          ),
        ]),
  ];
}

/**
 * Returns whether two answers are the same image: the same configuration, or the same manifest. An Engine with the containerd image store
 * uses the digest of the manifest or of the index as the id.
 */
function isSameImage(a: ImageAnswer, b: ImageAnswer): boolean {
  const [ofA, ofB] = [a, b].map(({ id, digests }) => new Set([bare(id), ...digests.map(bare)]));
  return [...(ofA ?? [])].some((digest) => ofB?.has(digest) === true);
}

function bare(digest: string): string {
  return digest.replace(/^sha256:/, '');
}

interface Meaning {
  readonly path: RegExp;
  readonly severity: Severity;
  readonly id: string;
  readonly summary: string;
  readonly advice: string;
}

/** What a difference in an answer means, by the path of the value. */
const MEANINGS: readonly Meaning[] = [
  {
    path: /^RuntimeConfig\.linux/,
    severity: 'block',
    id: 'verify-cgroup-driver',
    summary:
      'A and B use different cgroup drivers. The kubelet and its runtime must use the same one, and the driver must not change on a node with pods.',
    advice:
      'Set the driver of B: SystemdCgroup in the options of every runtime of containerd, cgroup_manager of CRI-O.',
  },
  {
    path: /^RuntimeConfig\.@status/,
    severity: 'review',
    id: 'verify-cgroup-driver',
    summary: 'Only one side reports its cgroup driver. A kubelet from 1.38 on needs this answer.',
    advice:
      'Compare the drivers in the configuration files, and update B if it is the side that does not answer.',
  },
  {
    path: /^(Status\.(features|runtime_handlers)|RuntimeHandlerFeatures)/,
    severity: 'change',
    id: 'verify-features',
    summary:
      'A and B report different features. The scheduler and the kubelet refuse pods that need a missing one.',
    advice:
      'If B lacks a feature, look for pods that use it: supplementalGroupsPolicy, hostUsers: false, or recursiveReadOnly. Update B, or change these pods.',
  },
  {
    path: /^ImageFsInfo/,
    severity: 'review',
    id: 'verify-image-fs',
    summary:
      'A and B report the file systems of images differently. The kubelet removes images and evicts pods by these numbers.',
    advice: 'Check that the disk of B has room, and that the eviction thresholds of the kubelet fit it.',
  },
  {
    path: /./,
    severity: 'review',
    id: 'verify-answers',
    summary: 'A and B answer these questions about themselves differently.',
    advice: 'Check whether a program on the node, such as monitoring, reads these values.',
  },
];

/** Returns findings for the differences between answers. Readiness has its own findings. */
export function answerFindings({ calls }: Comparison): Finding[] {
  const byMeaning = new Map<Meaning, Evidence[]>();
  for (const { differences } of calls)
    for (const { path, a, b } of differences) {
      if (NEEDED.some((type) => path.startsWith(`Status.status.conditions[${type}]`))) continue;
      const meaning = MEANINGS.find((one) => one.path.test(path));
      if (meaning === undefined) continue;
      const evidence = { where: path, what: `A: ${text(a)}; B: ${text(b)}` };
      byMeaning.set(meaning, [...(byMeaning.get(meaning) ?? []), evidence]);
    }
  return [...byMeaning].map(([{ severity, id, summary, advice }, evidence]) =>
    finding(severity, id, summary, advice, evidence),
  );
}

/** Returns the differences between answers that rules of the harness allow. */
export function allowedAnswers(calls: readonly ComparedCall[]): { because: string; evidence: Evidence }[] {
  return calls.flatMap(({ allowed }) =>
    allowed.map(({ path, a, b, because }) => ({
      because,
      evidence: { where: path, what: `A: ${text(a)}; B: ${text(b)}` },
    })),
  );
}

function text(value: Json | undefined): string {
  return value === undefined ? '-' : shortened(typeof value === 'string' ? value : JSON.stringify(value));
}

function named(items: readonly string[]): string {
  const more = items.length - NAMED;
  return `${items.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
