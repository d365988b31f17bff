import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  stringify,
  type Node,
  type Pair,
} from 'yaml';
import { RuntimeError } from '../lib/errors';
import { unknownKey, type Fault } from './fault';
import { OPTIONS, type FileValues, type Option, type Sourced } from './options';
import { anyList, list } from './parsers';

export interface ConfigText {
  readonly values: FileValues;
  readonly faults: readonly Fault[];
}

/** Thrown when an option does not accept a value of this kind. */
class Unfit extends Error {
  constructor(
    message: string,
    readonly at: Node | undefined,
  ) {
    super(message);
  }
}

/**
 * Parses the text of a configuration file in YAML 1.2, which includes JSON. Reports all mistakes together, so that nobody has
 * to find them one by one.
 * @param file the file's name, which the places of values and the faults contain.
 */
export function readConfigText(file: string, text: string): ConfigText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const lineOf = (offset: number): number => lines.linePos(offset).line;
  const faults: Fault[] = document.errors.map(({ message, pos: [offset] }) => ({
    ...{ file, message, line: lineOf(offset) },
  }));
  const values: Record<string, Sourced> = {};
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return { values, faults };
  if (!isMap(root)) {
    if (faults.length > 0) return { values, faults };
    const message = 'is not a map of options, such as "log-level: debug"';
    return { values, faults: [{ file, message, line: lineOf(root.range[0]) }] };
  }
  // Everything after the first syntax error is ignored, because it may be misread.
  const broken = document.errors
    .filter(({ code }) => code !== 'DUPLICATE_KEY')
    .map(({ pos: [offset] }) => offset);
  const soundTo = Math.min(...broken);
  for (const { key, value } of root.items as Pair<Node, Node | null>[]) {
    if (((value ?? key).range?.[1] ?? 0) >= soundTo) break;
    const line = lineOf(key.range?.[0] ?? 0);
    const name = isScalar(key) ? String(key.value) : String(key);
    const option = Object.values<Option<unknown>>(OPTIONS).find((one) => one.name === name);
    if (option === undefined) {
      faults.push({ file, line, message: unknownKey(name) });
      continue;
    }
    try {
      const said = textOf(option, value);
      option.parse(said, name);
      values[name] = { text: said, from: 'file', place: `${file}:${line}: ${name}`, at: { file, line } };
    } catch (error) {
      if (!(error instanceof Unfit) && !(error instanceof RuntimeError)) throw error;
      const at = error instanceof Unfit ? error.at?.range?.[0] : undefined;
      const message = error instanceof Unfit ? `${name}: ${error.message}` : error.message;
      faults.push({ file, message, line: at === undefined ? line : lineOf(at) });
    }
  }
  return { values, faults };
}

/**
 * @returns the value as it would be written on the command line.
 * @throws Unfit
 */
function textOf(option: Option<unknown>, value: Node | null): string {
  const takes = option.value ?? 'true or false';
  if (isSeq(value)) {
    if (!isList(option)) throw new Unfit(`takes ${takes}, not a list`, value);
    return (value.items as (Node | null)[]).map((item) => scalarText(option, item, takes)).join(',');
  }
  return scalarText(option, value, takes);
}

function scalarText(option: Option<unknown>, value: Node | null, takes: string): string {
  if (isMap(value) || isSeq(value))
    throw new Unfit(`takes ${takes}, not a ${isMap(value) ? 'map' : 'list in a list'}`, value);
  if (isAlias(value)) throw new Unfit('is an alias: write the value itself', value);
  if (!isScalar(value) || value.value === null)
    throw new Unfit(
      "has no value: write '' for an empty value, or delete the line to use the default",
      undefined,
    );
  if (typeof value.value === 'string') return value.value;
  // The file's spelling is kept, because YAML would turn 007 into 7 and 1.0 into 1.
  const written = value.source ?? JSON.stringify(value.value);
  if (typeof value.value === 'boolean' && option.value !== undefined)
    throw new Unfit(
      `takes ${takes}, but ${written} is a boolean: put it in quotes if it is meant as text`,
      value,
    );
  return written;
}

/** Whether the option takes several values, separated by commas on the command line. */
function isList({ parse }: Pick<Option<unknown>, 'parse'>): boolean {
  return parse === list || parse === anyList;
}

const WIDTH = 100;

const HEAD = `Configuration of dockbridge. Every option is listed as a comment with its default: remove the "#" of the options that you
change. A flag overrides its environment variable. Both override the files in /etc/dockbridge/config.d, and those
files override this file. If several files in config.d set an option, the file whose name sorts last wins.
"dockbridge config check" reports mistakes. "dockbridge config show" prints each value in force and its source. "systemctl reload dockbridge" (SIGHUP) applies
the options that say so below; the others need "systemctl restart dockbridge". Neither disturbs running pods.`;

const IGNORED =
  "Options of cri-dockerd. They are accepted so that cri-dockerd's systemd units still work, but they have no effect";

/** Renders a configuration file that contains all options as comments, so that it changes nothing. */
export function renderDefaultFile(): string {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  const section = (option: Option<unknown>): string =>
    `${comment(explanationOf(option))}#${option.name}: ${defaultValue(option)}\n`;
  const working = all.filter(({ ignored }) => ignored === undefined);
  const ignored = all.filter(({ ignored: why }) => why !== undefined);
  return [
    comment(HEAD.replaceAll('\n', ' ')),
    ...working.map(section),
    comment(`--- ${IGNORED}`),
    ...ignored.map(section),
  ].join('\n');
}

function explanationOf({ help, reload, value, ignored }: Option<unknown>): string {
  const takes = value === undefined ? '' : `${value}: `;
  const note =
    ignored === undefined ? (reload === 'live' ? '. A reload applies it.' : '.') : `; no effect: ${ignored}.`;
  return `${takes}${help}${note}`;
}

/** @returns the default as it would be written in the file. */
function defaultValue(option: Option<unknown>): string {
  const { fallback } = option;
  if (isList(option)) return `[${fallback.split(',').filter(Boolean).map(scalar).join(', ')}]`;
  // Numbers and booleans are written without quotes.
  return /^(\d+|true|false)$/.test(fallback) ? fallback : scalar(fallback);
}

function scalar(text: string): string {
  return stringify(text, { lineWidth: 0, singleQuote: true }).trimEnd();
}

/** Breaks text into lines that begin with "# ". */
function comment(text: string): string {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line !== '#' && line.length + word.length >= WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join('\n')}\n`;
}
