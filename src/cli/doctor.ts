import type { Given } from '../config/options';
import { duration } from '../config/parsers';
import { DockerodeClient } from '../docker/dockerode-client';
import { readOnly } from '../docker/decorators';
import { atMost, examine, toLine } from '../doctor/check';
import { CHECKS, PROCESSES } from '../doctor/checks';
import { judgePod, POD } from '../doctor/checks/pod';
import { readKubelet } from '../doctor/kubelet/read';
import { renderDoctorReport } from '../doctor/render';
import { exitCodeOf, reportOf, type Finding } from '../doctor/report';
import { chooseDaemon, servingDaemons } from '../doctor/serving';
import { engineSources, once } from '../doctor/sources';
import { endProcess } from '../node/process/end-process';
import { messageOf } from '../lib/errors';
import { PAUSE_TAR } from '../program-files';
import { findProcesses, type NodeProcess } from '../node/process/node-processes';
import { DOCKBRIDGE_VERSION } from '../version';

export interface DoctorOptions {
  readonly output: 'text' | 'json';
  readonly kubeletConfig?: string | undefined;
  /** Run a pod too, which changes something: made of this image. */
  readonly pod: boolean;
  readonly image: string;
  /** The limit of one check, in Go's notation. */
  readonly timeout: string;
}

const DEFAULT_MS = 5_000;
/** A check has the rest to say who did not answer. */
const ANSWER_SHARE = 0.9;

/**
 * `dockbridge doctor`: looks at kubelet, dockbridge, the Engine and the node, and changes nothing unless
 * it is to run a pod. Ends the process: with
 * 0, 1 for warnings, 2 for failures, also when it could not look at all.
 */
export async function doctor(
  given: Given,
  { output, kubeletConfig, timeout, pod, image }: DoctorOptions,
): Promise<void> {
  try {
    const limitMs = duration(timeout, '--timeout') || DEFAULT_MS;
    const answerMs = limitMs * ANSWER_SHARE;
    const search = findProcesses().then(async (found) => ({ found, daemons: await servingDaemons(found) }));
    const searched = await atMost(limitMs, search);
    const { found: processes, daemons } = searched.value ?? { found: [], daemons: [] };
    const { settings, daemon } = chooseDaemon(given, process.env, daemons);
    const docker = readOnly(
      new DockerodeClient({ endpoint: settings.dockerEndpoint, requestTimeoutMs: answerMs }),
      'the doctor changes nothing',
    );
    const sources = {
      ...engineSources(docker),
      ...{ settings, processes, daemon, answerMs },
      kubelet: once(() => readKubelet({ processes, config: kubeletConfig })),
      pauseTar: PAUSE_TAR,
    };
    const lines = await examine(CHECKS, sources, limitMs);
    const unsearched = searched.finding === undefined ? [] : [toLine(PROCESSES, searched.finding)];
    // After the others, which it would keep from their answers.
    const tried = pod ? [toLine(POD, await judgedPod(settings.endpoint, image, processes))] : [];
    const report = reportOf(DOCKBRIDGE_VERSION, [...unsearched, ...lines, ...tried]);
    await print(output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : renderDoctorReport(report));
    // What was given up may hang in a file call.
    await endProcess(exitCodeOf(report));
  } catch (error) {
    process.stderr.write(`dockbridge doctor: ${messageOf(error)}\n`);
    process.exitCode = 2;
  }
}

async function judgedPod(
  endpoint: string,
  image: string,
  processes: readonly NodeProcess[],
): Promise<Finding> {
  const trial = await (await import('./doctor-pod.js')).tryPod(endpoint, image);
  return judgePod({ ...trial, kubeletRuns: processes.some(({ name }) => name === 'kubelet') });
}

/** Resolves when it was written: the end of the process would cut a pipe short. */
async function print(text: string): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
}
