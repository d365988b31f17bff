import { join } from 'node:path';
import { ignoredOptions, resolveSettings, type Given, type Settings } from '../config/options';
import type { Daemon } from '../daemon';
import { messageOf } from '../lib/errors';
import { createLateLogger } from '../lib/late-logger';
import type { Logger } from '../lib/logger';
import type { ContainerLogs } from '../logs/container-logs';
import { createContainerLogs } from '../logs/create-container-logs';

/**
 * `dockbridge serve`: until SIGTERM or SIGINT; a second one ends at once. The logs are resumed before all else is even
 * loaded: after a crash each tenth of a second counts for a container that floods (docs/logs.md).
 */
export async function serve(given: Given): Promise<void> {
  const settings = resolveSettings(given, process.env);
  // Before anybody can see us: a signal that nobody awaits ends the process and leaves its socket.
  const stopping = nextSignal();
  const late = createLateLogger();
  const logs = createContainerLogs({
    mode: settings.containerLogs,
    stateDir: join(settings.stateDir, 'logs'),
    logger: late.logger,
  });
  const { createStderrLogger } = await import('../lib/logger.js');
  const logger = createStderrLogger(settings.logLevel);
  late.attach(logger);
  surviveBugs(logger);
  for (const { name, why } of ignoredOptions(given, process.env)) {
    logger.warn('An option changes nothing here', { option: `--${name}`, why });
  }
  const daemon = await startDaemon(settings, logger, logs);
  const signal = await stopping;
  logger.info('Stopping', { signal });
  void nextSignal().then(() => process.exit(1));
  await daemon.stop();
}

async function startDaemon(settings: Settings, logger: Logger, logs: ContainerLogs): Promise<Daemon> {
  let daemon: Daemon | undefined;
  try {
    const loaded = await import('../daemon.js');
    daemon = await loaded.Daemon.create(settings, logger, {}, logs);
    await daemon.start();
    return daemon;
  } catch (error) {
    // Their threads would keep the process alive: systemd must see it fail.
    await (daemon === undefined ? logs.close() : daemon.stop());
    throw error;
  }
}

/** A bug in one call must not take down the node's pods: it is logged, and the daemon goes on. */
function surviveBugs(logger: Logger): void {
  const report = (kind: string) => (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error(`${kind}: this is a bug`, { error: messageOf(error), stack });
  };
  process.on('uncaughtException', report('Uncaught exception'));
  process.on('unhandledRejection', report('Unhandled rejection'));
}

async function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
}
