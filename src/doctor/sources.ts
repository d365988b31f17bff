import type { Fault } from '../config/fault';
import type { Settings } from '../config/options';
import type { DockerClient } from '../docker/client';
import type { NodeProcess } from '../node/process/node-processes';
import type { EngineInfo, EngineVersion } from '../engine/types';
import type { KubeletFacts } from './kubelet/facts';

/** `/info`, with what only the doctor reads of it. */
export interface EngineReport extends EngineInfo {
  readonly LiveRestoreEnabled?: boolean;
  readonly SystemTime?: string;
}

/** A GET's answer, and when it was asked and answered (ms since the epoch, by our clock). */
export interface Timed<T> {
  readonly answer: T;
  readonly asked: number;
  readonly answered: number;
}

/** What the checks look at. What several of them need is asked once. */
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
  /** How long somebody may take to answer, ms: a little less than a check, so that it is told as what it is. */
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

/** Begins at the first call; all get the same answer. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return () => (begun ??= work());
}
