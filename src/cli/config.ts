import { readConfiguration, type ReadConfiguration } from '../config/configuration';
import { renderDefaultFile } from '../config/config-yaml';
import { faultLine, type Fault } from '../config/fault';
import { overrideLine } from '../config/overrides';
import { resolveSettings, sourcedOptions, type Given } from '../config/options';
import { faultsInUse } from '../config/use';
import { columns } from '../lib/columns';
import { counted } from '../lib/counted';
import { replaceUserinfo } from '../doctor/bundle/redact';

type Format = 'text' | 'json';

/** Implements `dockbridge config default`. */
export function printDefaultFile(): void {
  process.stdout.write(renderDefaultFile());
}

/**
 * Implements `dockbridge config check`.
 * @returns the exit code: 0, 1 for warnings, 2 when dockbridge would not start.
 */
export async function checkConfig(given: Given, format: Format): Promise<number> {
  const read = await readConfiguration(given, process.env);
  const { files, warnings, overrides, values } = read;
  // Settings that cannot be parsed cannot be tried out.
  const faults =
    read.faults.length > 0
      ? read.faults
      : await faultsInUse(resolveSettings(given, process.env, values), given, process.env, values);
  if (format === 'json') printJson({ files, errors: faults, warnings, overrides });
  else {
    const lines = [
      ...faults.map((fault) => `error: ${faultLine(fault)}`),
      ...warnings.map((warning) => `warning: ${warning}`),
      // An override may be intended, so it changes neither the counts nor the exit code.
      ...overrides.map((override) => `note: ${overrideLine(override)}`),
      `${files.length === 0 ? 'No file was read' : `Read: ${files.join(', ')}`}. ${counted(faults.length, 'error')}, ${counted(warnings.length, 'warning')}.`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return faults.length > 0 ? 2 : warnings.length > 0 ? 1 : 0;
}

/**
 * Implements `dockbridge config show`.
 * @returns the exit code: 0, or 2 when the configuration has mistakes.
 */
export async function showConfig(given: Given, format: Format): Promise<number> {
  const read = await readConfiguration(given, process.env);
  if (read.faults.length > 0) return refuse(read.faults);
  if (format === 'json') printJson({ files: read.files, options: shown(given, read) });
  else
    process.stdout.write(
      columns([
        ['OPTION', 'VALUE', 'FROM'],
        ...shown(given, read).map(({ option, value, from, place }) => [
          option,
          value === '' ? "''" : value,
          place ?? from,
        ]),
      ]),
    );
  return 0;
}

/** Returns the values to print. No option is a secret, but an address may contain a password. */
function shown(given: Given, { values }: Pick<ReadConfiguration, 'values'>) {
  return sourcedOptions(given, process.env, values).map(
    ([, { name, reload }, { text, from, place, at }]) => ({
      ...{ option: name, value: replaceUserinfo(text, '***'), from },
      place: from === 'default' ? undefined : at === undefined ? place : `${at.file}:${at.line}`,
      reload,
    }),
  );
}

function refuse(faults: readonly Fault[]): number {
  process.stderr.write(faults.map((fault) => `dockbridge config: ${faultLine(fault)}\n`).join(''));
  return 2;
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
