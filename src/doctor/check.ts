import type { Fault } from '../config/fault';
import type { Settings } from '../config/options';
import type { Override } from '../config/overrides';
import type { DockerClient } from '../docker/client';
import type { EngineInfo, EngineVersion } from '../engine/types';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { NodeProcess } from '../node/process/node-processes';
import type { KubeletFacts } from './kubelet-facts';
import { fail, warn, type Finding, type Line } from './report';

/** Examines one thing and changes nothing. */
export interface Check {
  /** The check's name in the report. docs/troubleshooting.md has a heading with the same name. */
  readonly id: string;
  readonly run: (sources: Sources) => Promise<readonly Finding[]>;
}

/**
 * Runs all checks at the same time. If a check fails or hangs, only its own line is affected.
 * @param limitMs how long one check may take.
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

/** Returns the result of the work, or a finding with the reason why there is no result. Never rejects. */
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
    'Something that this check reads hangs, such as a file system, a process or the Engine: look for processes in state D and for dead network disks.',
  );
}

function notChecked(error: unknown): Finding {
  return warn(`not checked: ${messageOf(error)}`, 'Fix this first, then run the doctor again.');
}

/** The answer to `/info`, with the fields that only the doctor reads. */
export interface EngineReport extends EngineInfo {
  readonly LiveRestoreEnabled?: boolean;
  readonly SystemTime?: string;
}

/** The answer to a GET request, with the times of request and answer (ms since the epoch, by our clock). */
export interface Timed<T> {
  readonly answer: T;
  readonly asked: number;
  readonly answered: number;
}

/** The data that the checks examine. Data that several checks need is requested only once. */
export interface Sources {
  readonly settings: Settings;
  /** The mistakes in the configuration files. */
  readonly faults: readonly Fault[];
  /** The values of the running daemon's files that its flags or its environment override. */
  readonly overrides: readonly Override[];
  readonly processes: readonly NodeProcess[];
  /** The dockbridge that serves this node, if one is running. */
  readonly daemon: NodeProcess | undefined;
  readonly docker: Pick<DockerClient, 'inspectImage'>;
  readonly version: () => Promise<EngineVersion>;
  readonly info: () => Promise<Timed<EngineReport>>;
  readonly kubelet: () => Promise<KubeletFacts>;
  /**
   * Time limit of one answer in ms. It is a little less than the limit of a whole check, so that the check can report who did
   * not answer.
   */
  readonly answerMs: number;
  /** Path of the root file system of our own pause image. */
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

/** Returns a function that starts the work at its first call. All calls get the same result. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return () => (begun ??= work());
}
