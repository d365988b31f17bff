import { silentLogger, type LogFields, type Logger } from '../../../src/lib/logger';

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info';
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that remembers its lines, and lets a test wait for a message of the daemon. */
export class LogWatch {
  readonly lines: LogLine[] = [];
  private readonly waiting: (() => void)[] = [];
  readonly logger: Logger = {
    ...silentLogger,
    error: (message, fields) => this.add('error', message, fields),
    warn: (message, fields) => this.add('warn', message, fields),
    info: (message, fields) => this.add('info', message, fields),
    with: () => this.logger,
  };

  /** Resolves with the next line that has this text. Earlier lines do not count. */
  async next(text: string): Promise<LogLine> {
    for (let at = this.lines.length; ; at++) {
      while (at >= this.lines.length) await new Promise<void>((resolve) => this.waiting.push(resolve));
      const line = this.lines[at];
      if (line?.message.includes(text) === true) return line;
    }
  }

  private add(level: LogLine['level'], message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields });
    for (const wake of this.waiting.splice(0)) wake();
  }
}
