import { isDeepStrictEqual } from 'node:util';
import { replaceUserinfo } from '../doctor/bundle/redact';
import { sourcedOptions, type FileValues, type Given, type Option } from './options';

/**
 * A value in a configuration file that has no effect, because a flag or an environment variable sets the option to another
 * value. Passwords in addresses are replaced.
 */
export interface Override {
  readonly option: string;
  /** The file's path and the line, as in `/etc/dockbridge/config.yaml:3`. */
  readonly file: string;
  readonly fileValue: string;
  /** The flag or the variable, such as `--log-level` or `DOCKBRIDGE_LOG_LEVEL`. */
  readonly by: string;
  readonly value: string;
}

/** Returns the values of files that have no effect. An operator who edits such a value would otherwise search for the reason. */
export function overriddenValues(
  given: Given,
  environment: NodeJS.ProcessEnv,
  files: FileValues,
): Override[] {
  return sourcedOptions(given, environment, files).flatMap(([, option, { text, from, place: by }]) => {
    const inFile = files[option.name];
    if (inFile?.at === undefined || from === 'file' || isSame(option, inFile.text, text)) return [];
    return [
      {
        ...{ option: option.name, file: `${inFile.at.file}:${inFile.at.line}`, by },
        ...{ fileValue: replaceUserinfo(inFile.text, '***'), value: replaceUserinfo(text, '***') },
      },
    ];
  });
}

/** Whether two texts mean the same value, such as `60s` and `1m`. A text that does not parse is a mistake, reported elsewhere. */
function isSame({ parse }: Option<unknown>, one: string, other: string): boolean {
  try {
    return isDeepStrictEqual(parse(one, ''), parse(other, ''));
  } catch {
    return true;
  }
}

/** Renders an override in one line for people. */
export function overrideLine({ option, file, fileValue, by, value }: Override): string {
  return `${file}: ${option}: ${quoted(fileValue)} has no effect, because ${by} sets ${quoted(value)}`;
}

function quoted(value: string): string {
  return value === '' ? "''" : value;
}
