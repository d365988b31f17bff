import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NO_TRACER, type Tracer } from '../lib/tracer';
import { readTraceSettings } from './trace-settings';

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what there still is to send, for two seconds at most. Never rejects. */
  close(): Promise<void>;
}

const NO_TRACING: Tracing = { tracer: NO_TRACER, close: () => Promise.resolve() };

/**
 * Traces if OpenTelemetry's variables name a collector; only then is anything of OpenTelemetry loaded. A node that can run pods
 * must not refuse to because of its traces: what is wrong with the variables is logged, and the daemon does without.
 */
export async function openTracing(
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
  logger: Logger,
): Promise<Tracing> {
  const settings = readTraceSettings(environment);
  if (settings.kind === 'off') return NO_TRACING;
  if (settings.kind === 'refused') {
    logger.error('Cannot trace; all else goes on', { error: settings.why });
    return NO_TRACING;
  }
  try {
    // In packages this is a file of its own beside main.js (packaging/bundle.mjs).
    const { startTracing } = await import('./open-telemetry.js');
    const tracing = startTracing({ version, logger });
    logger.info('Calls are traced', { collector: settings.endpoint });
    return tracing;
  } catch (error) {
    logger.error('Cannot trace; all else goes on', { error: messageOf(error) });
    return NO_TRACING;
  }
}
