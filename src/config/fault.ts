import { RuntimeError } from '../lib/errors';

/** What is wrong in a configuration, and where. */
export interface Fault {
  /** The file as it was named; '' for a flag or a variable, which the message names. */
  readonly file: string;
  /** From 1; 0 where no line is at fault. */
  readonly line: number;
  readonly message: string;
}

/** One line for a person: `/etc/dockbridge/config.yaml:3: …`. */
export function faultLine({ file, line, message }: Fault): string {
  if (file === '') return message;
  return line === 0 ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}

/** A configuration that cannot be used. */
export class ConfigurationError extends RuntimeError {
  constructor(readonly faults: readonly Fault[]) {
    super('INVALID_ARGUMENT', faults.map(faultLine).join('\n'));
    this.name = 'ConfigurationError';
  }
}
