import type { Given } from '../config/options';
import { duration } from '../config/parsers';
import { DockerodeClient } from '../docker/dockerode-client';
import { readOnly } from '../docker/decorators';
import { atMost, examine, toLine } from '../doctor/check';
import { Archive } from '../doctor/bundle/archive';
import { collect } from '../doctor/bundle/collect';
import { bundleItems, readmeOf, type BundleSources } from '../doctor/bundle/items';
import { CHECKS, PROCESSES } from '../doctor/checks';
import { judgePod, POD } from '../doctor/checks/dockbridge';
import { readKubelet } from '../doctor/kubelet-facts';
import { renderDoctorReport } from '../doctor/report';
import { exitCodeOf, reportOf, type Finding } from '../doctor/report';
import { chooseDaemon, servingDaemons } from '../doctor/serving';
import { engineSources, once } from '../doctor/check';
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
  /** Where a bundle for the maintainers is to be written. */
  readonly bundle?: string | undefined;
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
  { output, kubeletConfig, timeout, pod, image, bundle }: DoctorOptions,
): Promise<void> {
  let archive: Archive | undefined;
  try {
    // Before all the work whose result would have no place.
    archive = bundle === undefined ? undefined : await Archive.create(bundle);
    const limitMs = duration(timeout, '--timeout') || DEFAULT_MS;
    const answerMs = limitMs * ANSWER_SHARE;
    const search = findProcesses().then(async (found) => ({ found, daemons: await servingDaemons(found) }));
    const searched = await atMost(limitMs, search);
    const { found: processes, daemons } = searched.value ?? { found: [], daemons: [] };
    const chosen = await chooseDaemon(given, process.env, daemons);
    const { settings, daemon, faults } = chosen;
    const docker = readOnly(
      new DockerodeClient({ endpoint: settings.dockerEndpoint, requestTimeoutMs: answerMs }),
      'the doctor changes nothing',
    );
    const sources = {
      ...engineSources(docker),
      ...{ settings, faults, processes, daemon, answerMs },
      kubelet: once(() => readKubelet({ processes, config: kubeletConfig })),
      pauseTar: PAUSE_TAR,
    };
    const lines = await examine(CHECKS, sources, limitMs);
    const unsearched = searched.finding === undefined ? [] : [toLine(PROCESSES, searched.finding)];
    // After the others, which it would keep from their answers.
    const tried = pod ? [toLine(POD, await judgedPod(settings.endpoint, image, processes))] : [];
    const report = reportOf(DOCKBRIDGE_VERSION, [...unsearched, ...lines, ...tried]);
    await print(output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : renderDoctorReport(report));
    if (archive !== undefined) await fill(archive, { ...sources, ...chosen, report }, limitMs);
    // What was given up may hang in a file call.
    await endProcess(exitCodeOf(report));
  } catch (error) {
    await archive?.discard();
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

async function fill(archive: Archive, sources: BundleSources, limitMs: number): Promise<void> {
  const time = new Date();
  const files = await collect(bundleItems(sources), limitMs, readmeOf(DOCKBRIDGE_VERSION, time));
  const size = await archive.write(files, time);
  process.stderr.write(
    `${archive.path} has ${files.length} files in ${Math.ceil(size / 1024)} KiB. Look through it before you give it away.\n`,
  );
}

/** Resolves when it was written: the end of the process would cut a pipe short. */
async function print(text: string): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
}
