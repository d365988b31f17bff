import { ignoredOptions, resolveSettings, type Given } from '../config/options';
import { Daemon } from '../daemon';
import { messageOf } from '../lib/errors';
import { createStderrLogger, type Logger } from '../lib/logger';

/** `dockbridge serve`: until SIGTERM or SIGINT; a second one ends at once. */
export async function serve(given: Given): Promise<void> {
  const settings = resolveSettings(given, process.env);
  const logger = createStderrLogger(settings.logLevel);
  surviveBugs(logger);
  for (const { name, why } of ignoredOptions(given, process.env)) {
    logger.warn('An option changes nothing here', { option: `--${name}`, why });
  }
  const daemon = await Daemon.create(settings, logger);
  await daemon.start();
  const signal = await nextSignal();
  logger.info('Stopping', { signal });
  void nextSignal().then(() => process.exit(1));
  await daemon.stop();
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
