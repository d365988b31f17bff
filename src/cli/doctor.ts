import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Given } from '../config/options';
import { duration } from '../config/parsers';
import { readOnly } from '../docker/decorators';
import { DockerodeClient } from '../docker/dockerode-client';
import { Archive, collect } from '../doctor/bundle/bundle';
import { bundleItems, readmeOf, type BundleSources } from '../doctor/bundle/items';
import { atMost, engineSources, examine, once, toLine } from '../doctor/check';
import { CHECKS, PROCESSES } from '../doctor/checks';
import { judgePod, POD, type PodTrial } from '../doctor/checks/dockbridge';
import { readKubelet } from '../doctor/kubelet-facts';
import { exitCodeOf, renderDoctorReport, reportOf, type Finding } from '../doctor/report';
import { chooseDaemon, servingDaemons } from '../doctor/serving';
import { counted } from '../lib/counted';
import { messageOf } from '../lib/errors';
import { endProcess } from './end-process';
import { findProcesses, type NodeProcess } from '../node/process/node-processes';
import { DOCKBRIDGE_VERSION, PAUSE_TAR } from '../release';
import { CriClient } from '../server/client/cri-client';
import { runDemoPod } from './demo-pod';

export interface DoctorOptions {
  readonly output: 'text' | 'json';
  readonly kubeletConfig?: string | undefined;
  /** Whether to run a pod too. This is the only check that changes something. */
  readonly pod: boolean;
  readonly image: string;
  /** Path at which to write a bundle for the maintainers. */
  readonly bundle?: string | undefined;
  /** The limit of one check, in Go's notation. */
  readonly timeout: string;
}

const DEFAULT_MS = 5_000;
/** The share of a check's time that one answer may take. In the remaining time the check can report who did not answer. */
const ANSWER_SHARE = 0.9;

/** The limit of each call, including a pull. kubelet waits two minutes, but a person at a terminal does not. */
const CALL_MS = 60_000;

/**
 * Implements `dockbridge doctor`, which examines kubelet, dockbridge, the Engine and the node. It changes nothing unless it
 * runs a pod. It ends the process with the exit code 0, 1 for warnings, or 2 if something does not work or the examination was
 * not possible.
 */
export async function doctor(
  given: Given,
  { output, kubeletConfig, timeout, pod, image, bundle }: DoctorOptions,
): Promise<void> {
  let archive: Archive | undefined;
  try {
    // The file is created first, so that an impossible path fails before the work is done.
    archive = bundle === undefined ? undefined : await Archive.create(bundle);
    const limitMs = duration(timeout, '--timeout') || DEFAULT_MS;
    const answerMs = limitMs * ANSWER_SHARE;
    const search = findProcesses().then(async (found) => ({ found, daemons: await servingDaemons(found) }));
    const searched = await atMost(limitMs, search);
    const { found: processes, daemons } = searched.value ?? { found: [], daemons: [] };
    const chosen = await chooseDaemon(given, process.env, daemons);
    const { settings, daemon, faults, overrides } = chosen;
    const docker = readOnly(
      new DockerodeClient({ endpoint: settings.dockerEndpoint, requestTimeoutMs: answerMs }),
      'the doctor changes nothing',
    );
    const sources = {
      ...engineSources(docker),
      ...{ settings, faults, overrides, processes, daemon, answerMs },
      kubelet: once(() => readKubelet({ processes, config: kubeletConfig })),
      pauseTar: PAUSE_TAR,
    };
    const lines = await examine(CHECKS, sources, limitMs);
    const unsearched = searched.finding === undefined ? [] : [toLine(PROCESSES, searched.finding)];
    // The pod runs after the other checks, because it would delay their answers.
    const tried = pod ? [toLine(POD, await judgedPod(settings.endpoint, image, processes))] : [];
    const report = reportOf(DOCKBRIDGE_VERSION, [...unsearched, ...lines, ...tried]);
    await print(output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : renderDoctorReport(report));
    if (archive !== undefined) await fill(archive, { ...sources, ...chosen, report }, limitMs);
    // A check that was given up may hang in a file call, which would keep this process alive.
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
  const trial = await tryPod(endpoint, image);
  return judgePod({ ...trial, kubeletRuns: processes.some(({ name }) => name === 'kubelet') });
}

/** Runs one pod through CRI, and removes it even if an earlier step fails. */
async function tryPod(endpoint: string, image: string): Promise<Omit<PodTrial, 'kubeletRuns'>> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
  const client = new CriClient(endpoint);
  const call: CriClient['call'] = (method, request, ms) =>
    client.call(method, request, Math.min(ms ?? CALL_MS, CALL_MS));
  let failure: PodTrial['failure'];
  const onFailure = (step: string, error: unknown): void => {
    // Only the first failure counts. Later ones occur while the pod is removed, and may be consequences of the first.
    failure ??= { step, message: messageOf(error) };
  };
  try {
    const options = { image, logDirectory: join(directory, 'logs'), print: () => undefined, onFailure };
    return { image, times: await runDemoPod({ call }, options) };
  } catch (error) {
    return { image, times: [], failure: failure ?? { step: 'the pod', message: messageOf(error) } };
  } finally {
    client.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function fill(archive: Archive, sources: BundleSources, limitMs: number): Promise<void> {
  const time = new Date();
  const files = await collect(bundleItems(sources), limitMs, readmeOf(DOCKBRIDGE_VERSION, time));
  const size = await archive.write(files, time);
  process.stderr.write(
    `${archive.path} has ${counted(files.length, 'file')} in ${Math.ceil(size / 1024)} KiB. Look through them before you share the file.\n`,
  );
}

/** Resolves when the text has been written, because the end of the process could otherwise cut off what a pipe still holds. */
async function print(text: string): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
}
