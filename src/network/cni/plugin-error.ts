import { RuntimeError, type ErrorCode } from '../../lib/errors';
import { parseObject, text } from './json';

/** CNI's code for "come again later". */
const TRY_AGAIN_LATER = 11;
const EXCERPT = 300;

/** What a plugin said when it failed. */
export class CniPluginError extends RuntimeError {
  constructor(
    code: ErrorCode,
    readonly plugin: string,
    readonly command: string,
    message: string,
    /** The plugin's own code; undefined when it gave none. */
    readonly pluginCode?: number,
  ) {
    super(code, message);
    this.name = 'CniPluginError';
  }
}

export interface FailedRun {
  readonly plugin: string;
  readonly command: string;
  /** Exit code or signal name. */
  readonly exit: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Describes a plugin that exited badly: its JSON error where it wrote one, else what it printed. */
export function failedRun({ plugin, command, exit, stdout, stderr }: FailedRun): CniPluginError {
  const answer = parseObject(stdout);
  const msg = text(answer?.msg);
  if (answer !== undefined && (typeof answer.code === 'number' || msg !== '')) {
    const pluginCode = typeof answer.code === 'number' ? answer.code : undefined;
    const details = text(answer.details);
    const code = pluginCode === undefined ? '' : ` (code ${pluginCode})`;
    return new CniPluginError(
      pluginCode === TRY_AGAIN_LATER ? 'UNAVAILABLE' : 'UNKNOWN',
      plugin,
      command,
      `CNI plugin "${plugin}" failed on ${command}${code}: ${msg}${details === '' ? '' : `: ${details}`}`,
      pluginCode,
    );
  }
  const said = excerpt(stderr.trim() === '' ? stdout : stderr);
  return new CniPluginError(
    'UNKNOWN',
    plugin,
    command,
    `CNI plugin "${plugin}" ended with ${exit} on ${command} and ${said === '' ? 'said nothing' : `said: ${said}`}`,
  );
}

export function garbageAnswer(plugin: string, command: string, stdout: string): CniPluginError {
  const said = excerpt(stdout);
  return new CniPluginError(
    'UNKNOWN',
    plugin,
    command,
    `CNI plugin "${plugin}" answered ${command} with ${said === '' ? 'nothing' : `what is not a JSON object: ${said}`}`,
  );
}

function excerpt(output: string): string {
  const line = output.trim().replace(/\s+/g, ' ');
  return line.length > EXCERPT ? `${line.slice(0, EXCERPT)}…` : line;
}
