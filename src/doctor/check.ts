import type { Fault } from '../config/fault';
import type { Settings } from '../config/options';
import type { DockerClient } from '../docker/client';
import type { EngineInfo, EngineVersion } from '../engine/types';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { NodeProcess } from '../node/process/node-processes';
import type { KubeletFacts } from './kubelet-facts';
import { fail, warn, type Finding, type Line } from './report';

/** Looks at one thing and changes nothing. */
export interface Check {
  /** Its name in the report, and the heading in docs/troubleshooting.md. */
  readonly id: string;
  readonly run: (sources: Sources) => Promise<readonly Finding[]>;
}

/**
 * Runs all checks side by side. If a check fails or hangs, only its own line is affected.
 * @param limitMs how long one may take.
 */
export async function examine(
  checks: readonly Check[],
  sources: Sources,
  limitMs: number,
): Promise<readonly Line[]> {
  const outcomes = await Promise.all(
    checks.map(async ({ id, run }) => {
      const { value = [], finding } = await atMost(limitMs, run(sources));
      return [...value, ...(finding === undefined ? [] : [finding])].map((one) => toLine(id, one));
    }),
  );
  return outcomes.flat();
}

/** The value of the work, or a finding that says why there is none. Never rejects. */
export async function atMost<T>(
  limitMs: number,
  work: Promise<T>,
): Promise<{ readonly value?: T; readonly finding?: Finding }> {
  const settled = work.then(
    (value) => ({ value }),
    (error: unknown) => ({ finding: notChecked(error) }),
  );
  return waitAtMost('A check', limitMs, settled).catch(() => ({ finding: tooLong(limitMs) }));
}

export function toLine(check: string, finding: Finding): Line {
  return { check, ...finding, link: `docs/troubleshooting.md#${check}` };
}

function tooLong(limitMs: number): Finding {
  return fail(
    `gave no answer within ${limitMs / 1000} s`,
    'A file system, a process or the Engine that it asks hangs: look for processes in state D, and for dead network disks.',
  );
}

function notChecked(error: unknown): Finding {
  return warn(`not checked: ${messageOf(error)}`, 'Fix that first, and run the doctor again.');
}

/** `/info`, with the fields that only the doctor reads. */
export interface EngineReport extends EngineInfo {
  readonly LiveRestoreEnabled?: boolean;
  readonly SystemTime?: string;
}

/** The answer to a GET, with the times of question and answer (ms since the epoch, by our clock). */
export interface Timed<T> {
  readonly answer: T;
  readonly asked: number;
  readonly answered: number;
}

/** What the checks look at. Whatever several of them need is requested only once. */
export interface Sources {
  readonly settings: Settings;
  /** What is wrong in the configuration files. */
  readonly faults: readonly Fault[];
  readonly processes: readonly NodeProcess[];
  /** The dockbridge that serves this node, where one runs. */
  readonly daemon: NodeProcess | undefined;
  readonly docker: Pick<DockerClient, 'inspectImage'>;
  readonly version: () => Promise<EngineVersion>;
  readonly info: () => Promise<Timed<EngineReport>>;
  readonly kubelet: () => Promise<KubeletFacts>;
  /**
   * How long one answer may take, ms. This is a little less than a whole check may take, so that the check can report who did
   * not answer.
   */
  readonly answerMs: number;
  /** Root file system of our own pause image. */
  readonly pauseTar: string;
}

export function engineSources(
  docker: Pick<DockerClient, 'version' | 'info' | 'inspectImage'>,
): Pick<Sources, 'docker' | 'version' | 'info'> {
  return {
    docker,
    version: once(() => docker.version()),
    info: once(async () => {
      const asked = Date.now();
      const answer: EngineReport = await docker.info();
      return { answer, asked, answered: Date.now() };
    }),
  };
}

/** Starts the work at the first call; all calls get the same answer. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return () => (begun ??= work());
}
