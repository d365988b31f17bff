import { loadConfiguration, type Configuration } from '../config/configuration';
import { LiveSettings } from '../config/live-settings';
import type { Given, Settings } from '../config/options';
import type { Daemon } from '../daemon';
import { announceStop, untilReleased } from '../node/claims';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import { isJournal } from '../lib/journal';
import { standardError, type LogOutput } from '../lib/log-output';
import { createLateLogger, type Logger } from '../lib/logger';
import type { ContainerLogs } from '../logs/container-logs';
import { endProcess, nextEndSignal, outliveOtherSignals } from './end-process';
import { claimedDirectories, startLogs } from '../start-logs';
import { logOverrides, reload, Reloads } from './reload';

/** Time limit of a stop in ms. The daemon's own limit is shorter. */
const STOP_MS = 11_000;

/** How long, in ms, a stop waits for its announcement in the directories on disk. */
const ANNOUNCE_MS = 500;

/** How long, in ms, the process waits at its end until its last lines are read. */
const LAST_LINES_MS = 1_000;

/**
 * Implements `dockbridge serve`, which runs until SIGTERM, SIGINT or SIGQUIT. A second signal ends it immediately. The logs are
 * resumed before the rest of the program is loaded, because after a crash each tenth of a second matters for a container that
 * floods its log (docs/logs.md).
 */
export async function serve(given: Given): Promise<void> {
  // The handlers are set before anything can connect, because an unhandled signal would end the process and leave the socket
  // file behind.
  const stopping = nextEndSignal();
  const late = createLateLogger();
  const reloads = new Reloads();
  outliveOtherSignals(late.logger, reloads.request);
  const read = (): Promise<Configuration> => loadConfiguration(given, process.env);
  const { settings: initial, ignored, warnings, overrides } = await read();
  const live = new LiveSettings(initial);
  const { settings } = live;
  const claimed = claimedDirectories(settings);
  await Promise.race([untilReleased(claimed, STOP_MS), stopping]);
  const logs = await startLogs(settings, late.logger);
  const { createLineLogger } = await import('../lib/line-logger.js');
  const output = standardError();
  const logger = createLineLogger(settings.logLevel, output, isJournal(process.env.JOURNAL_STREAM));
  late.attach(logger);
  surviveBugs(logger);
  for (const { name, why } of ignored)
    logger.warn('An option has no effect here', { option: `--${name}`, reason: why });
  for (const warning of warnings) logger.warn('Something in the configuration has no effect', { warning });
  logOverrides(logger, overrides);
  const announced = stopping.then(async (signal) => {
    logger.info('Stopping', { signal });
    void nextEndSignal().then(() => endProcess(1));
    // If the disk hangs, the stop continues without an announcement. The next daemon is then refused, and is started again.
    const words = Promise.all(claimed.map(announceStop));
    await waitAtMost('The announcement of the stop', ANNOUNCE_MS, words).catch(() => undefined);
  });
  const onStarted = (daemon: Daemon): void => reloads.begin(() => reload({ read, live, daemon, logger }));
  const starting = startDaemon({ settings, logger, logs, output, onStarted }).catch(
    async (error: unknown) => {
      await output.flush(LAST_LINES_MS);
      throw error;
    },
  );
  await Promise.race([starting, stopping]);
  await stopping;
  // A start that hangs must not keep us from stopping.
  const daemon = await waitAtMost('The start', STOP_MS, starting).catch((error: unknown) => {
    setTimeout(() => void endProcess(1), LAST_LINES_MS).unref();
    throw error;
  });
  await announced;
  await daemon.stop();
  await output.flush(LAST_LINES_MS);
  // Any other way to end would wait forever for a thread whose file call does not return.
  if (logs.trouble?.reason === 'LogsHang') process.kill(process.pid, 'SIGKILL');
  // Parts that did not stop must not keep the process alive.
  await endProcess(0);
}

interface Start {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly logs: ContainerLogs;
  readonly output: LogOutput;
  readonly onStarted: (daemon: Daemon) => void;
}

async function startDaemon({ settings, logger, logs, output, onStarted }: Start): Promise<Daemon> {
  let daemon: Daemon | undefined;
  try {
    const loaded = await import('../daemon.js');
    daemon = await loaded.Daemon.create(settings, logger, { logs, droppedLogLines: () => output.dropped });
    await daemon.start();
    onStarted(daemon);
    return daemon;
  } catch (error) {
    // The log threads would keep the process alive, but systemd must see that it has failed.
    await (daemon === undefined ? logs.close() : daemon.stop());
    throw error;
  }
}

/**
 * Logs an unexpected error and lets the daemon continue, because a bug in one call must not leave the node without its runtime.
 */
function surviveBugs(logger: Logger): void {
  const report = (kind: string) => (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error(`${kind}: this is a bug`, { error: messageOf(error), stack });
  };
  process.on('uncaughtException', report('Uncaught exception'));
  process.on('unhandledRejection', report('Unhandled rejection'));
  // Node's own listener is replaced, because it would print to stderr without the logger.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => logger.warn('Node.js warns', { error: messageOf(warning) }));
}
