import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NO_TRACER, type Tracer } from '../lib/tracer';
import { readTraceSettings } from './trace-settings';

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends the remaining spans, for two seconds at most. Never rejects. */
  close(): Promise<void>;
}

const NO_TRACING: Tracing = { tracer: NO_TRACER, close: () => Promise.resolve() };

/**
 * Starts tracing if OpenTelemetry's variables name a collector. Only then is OpenTelemetry loaded. Tracing must never keep a
 * node from running pods, so mistakes in the variables are only logged, and the daemon runs without tracing.
 */
export async function openTracing(
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
  logger: Logger,
): Promise<Tracing> {
  const settings = readTraceSettings(environment);
  if (settings.kind === 'off') return NO_TRACING;
  if (settings.kind === 'refused') {
    logger.error('Cannot trace calls; everything else continues', { error: settings.why });
    return NO_TRACING;
  }
  try {
    // In packages this module is a file of its own next to main.js (packaging/bundle.mjs).
    const { startTracing } = await import('./open-telemetry.js');
    const tracing = startTracing({ version, logger });
    logger.info('Tracing calls', { collector: settings.endpoint });
    return tracing;
  } catch (error) {
    logger.error('Cannot trace calls; everything else continues', { error: messageOf(error) });
    return NO_TRACING;
  }
}
