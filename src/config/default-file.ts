import { stringify } from 'yaml';
import { isList } from './config-text';
import { OPTIONS, type Option } from './options';

const WIDTH = 100;

const HEAD = `Configuration of dockbridge. All options are here with their defaults, as comments: take away the "#" of those that you
change. A flag counts before its environment variable, that before the files in /etc/dockbridge/config.d (the last name first),
and these before this file. "dockbridge config check" says whether it is right, "dockbridge config show" what counts and where it
is from. Options that say so take a change at "systemctl reload dockbridge" (SIGHUP), the others at "systemctl restart
dockbridge"; no pod notices either.`;

const IGNORED = "cri-dockerd's options that are taken for its units' sake and change nothing";

/** A configuration file that holds all options and changes nothing. */
export function renderDefaultFile(): string {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  const section = (option: Option<unknown>): string =>
    `${comment(textOf(option))}#${option.name}: ${defaultValue(option)}\n`;
  const working = all.filter(({ ignored }) => ignored === undefined);
  const ignored = all.filter(({ ignored: why }) => why !== undefined);
  return [
    comment(HEAD.replaceAll('\n', ' ')),
    ...working.map(section),
    comment(`--- ${IGNORED}`),
    ...ignored.map(section),
  ].join('\n');
}

function textOf({ help, reload, value, ignored }: Option<unknown>): string {
  const takes = value === undefined ? '' : `${value}: `;
  const note =
    ignored === undefined
      ? reload === 'live'
        ? '. A reload takes it up.'
        : '.'
      : `; no effect: ${ignored}.`;
  return `${takes}${help}${note}`;
}

/** As one would write it in the file. */
function defaultValue(option: Option<unknown>): string {
  const { fallback } = option;
  if (isList(option)) return `[${fallback.split(',').filter(Boolean).map(scalar).join(', ')}]`;
  // Numbers and truth values stand without quotes.
  return /^(\d+|true|false)$/.test(fallback) ? fallback : scalar(fallback);
}

function scalar(text: string): string {
  return stringify(text, { lineWidth: 0, singleQuote: true }).trimEnd();
}

/** Words in lines that begin with "# ". */
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
