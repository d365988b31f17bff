import { join } from 'node:path';
import { loadConfiguration } from '../config/configuration';
import type { Given, Settings } from '../config/options';
import { DockerodeClient } from '../docker/dockerode-client';
import { claimDirectory } from '../node/claims';
import { failedPrecondition, invalidArgument } from '../lib/errors';
import { isJournal } from '../lib/journal';
import { standardError } from '../lib/log-output';
import { createLineLogger } from '../lib/line-logger';
import { createContainerLogs } from '../logs/create-container-logs';
import { NamespaceHandles } from '../node/netns/namespace-handles';
import { SandboxCheckpoints } from '../network/sandbox-checkpoints';
import { askToHandOver } from '../server/client/control-client';
import { controlPath } from '../server/control-socket';
import { engineClaims } from '../start-logs';
import { engineKey, wayKey } from '../sync/engine-claim';
import { handOverPods, type HandOverStep } from '../sync/hand-over';

const ENGINE_MS = 30_000;
const MARKS = { done: '+', nothing: ' ', failed: '!' };

/**
 * Implements `dockbridge hand-over`. If a daemon runs with these options, the daemon does the work, so that two processes never
 * write at the same time. Otherwise this process does the work. Prints one line per step. The exit code is 1 when something is
 * left to do.
 */
export async function handOver(given: Given): Promise<void> {
  const { settings } = await loadConfiguration(given, process.env);
  if (settings.observe) throw invalidArgument('--observe', 'has nothing to hand over');
  const running = await askToHandOver(controlPath(settings.runDir));
  const counts = { done: 0, nothing: 0, failed: 0 };
  for await (const step of running ?? alone(settings)) {
    counts[step.outcome]++;
    process.stdout.write(`${MARKS[step.outcome]} ${step.what} ${step.of}: ${step.detail}\n`);
  }
  const { done, nothing, failed } = counts;
  const next =
    failed > 0
      ? 'Not everything could be handed over: see the lines with "!" and repeat the command.'
      : running === undefined
        ? 'The other runtime can be started.'
        : 'The daemon refuses new work now: stop it and start the other runtime.';
  process.stdout.write(`${done} done, ${nothing} needed no change, ${failed} failed. ${next}\n`);
  if (failed > 0) process.exitCode = 1;
}

async function* alone(settings: Settings): AsyncGenerator<HandOverStep> {
  const logger = createLineLogger('warn', standardError(), isJournal(process.env.JOURNAL_STREAM));
  const docker = new DockerodeClient({ endpoint: settings.dockerEndpoint, requestTimeoutMs: ENGINE_MS });
  // Keeps a daemon from starting during the hand-over, and fails if a daemon runs without a control socket.
  claimDirectory(settings.runDir, 'run-dir', 0o750);
  const release = await claimEngine(settings, docker);
  const logs = createContainerLogs({
    mode: settings.containerLogs,
    stateDir: join(settings.stateDir, 'logs'),
    logger,
  });
  try {
    yield* handOverPods({
      docker,
      logs,
      network: NamespaceHandles.of(settings.runDir),
      checkpoints: new SandboxCheckpoints({
        mode: settings.sandboxCheckpoints,
        root: settings.criDockerdRootDirectory,
        dockershimRoot: settings.dockershimRootDirectory,
        isInUse: () => Promise.resolve(true),
        logger,
      }),
    });
  } finally {
    await logs.close();
    await release();
  }
}

/**
 * Claims the Engine, and returns a function that releases it.
 * @throws FAILED_PRECONDITION if a daemon with other directories serves the Engine. That daemon would not notice the hand-over
 * and would continue.
 */
async function claimEngine(settings: Settings, docker: DockerodeClient): Promise<() => Promise<void>> {
  const claims = engineClaims(settings);
  const { ID: id = '', DockerRootDir: rootDir } = await docker.info();
  const keys = [await wayKey(settings.dockerEndpoint), engineKey({ id, rootDir })];
  const release = async (): Promise<void> => {
    for (const key of keys) await claims.release(key);
  };
  for (const key of keys) {
    const other = await claims.take(key);
    if (other === undefined) continue;
    await release();
    throw failedPrecondition(
      `a dockbridge with another --run-dir serves this Docker Engine (${other.words}): give hand-over the options that it was started with`,
    );
  }
  return release;
}
