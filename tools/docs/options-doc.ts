import { table } from './markdown';
import { environmentName, OPTIONS, type Option } from '../../src/config/options';

const HEAD = `# Options of \`dockbridge serve\`

You can set each option by its flag, by its environment variable, or by its key in a configuration file. The flag overrides
the variable, and the variable overrides the file ([configuration.md](configuration.md)). The column "Reload" shows when a
change in a file takes effect: **live** options change at SIGHUP, the others at a restart. This page is generated from the option table
(\`src/config/options.ts\`), and a check keeps it current.
`;

const IGNORED_HEAD = `## Accepted without effect

dockbridge accepts these options so that units written for cri-dockerd work unchanged. At its start, dockbridge logs which of
them were set.
`;

/** Returns docs/options.md in Prettier's format, with the variable, default and help of every option. */
export function renderOptionsDoc(): string {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  const working = all.filter(({ ignored }) => ignored === undefined);
  const ignored = all.filter(({ ignored: why }) => why !== undefined);
  return [
    HEAD,
    table(
      ['Option', 'Key', 'Variable', 'Default', 'Reload', 'Meaning'],
      working.map((option) => [
        ...columns(option),
        option.reload === 'live' ? '**live**' : option.reload,
        option.help,
      ]),
    ),
    IGNORED_HEAD,
    table(
      ['Option', 'Key', 'Variable', 'Default', 'Meaning in cri-dockerd', 'Why it has no effect'],
      ignored.map((option) => [...columns(option), option.help, option.ignored ?? '']),
    ),
  ].join('\n');
}

function columns({ name, value, fallback }: Option<unknown>): string[] {
  const shown = value === undefined ? `--${name}` : `--${name} ${value}`;
  return [code(shown), code(name), code(environmentName(name)), fallback === '' ? '' : code(fallback)];
}

function code(text: string): string {
  return `\`${text}\``;
}
