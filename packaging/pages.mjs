// Writes the manual page and the shells' completions, from the definition of the command line. Needs dist/ (make build).
//
//   pages.mjs DIRECTORY DATE   DIRECTORY gets dockbridge.8, dockbridge.bash and _dockbridge; DATE as YYYY-MM-DD
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { withInstalledPages } from './manuals.mjs';

const require = createRequire(import.meta.url);
const { createProgram } = require('../dist/cli/program.js');
const { DOCKBRIDGE_VERSION } = require('../dist/release.js');
const [directory, date] = process.argv.slice(2);

/** Returns each command that has no subcommands, with the words that call it. */
function leaves(command, words = []) {
  if (command.commands.length === 0) return [{ words, command }];
  return command.commands.flatMap((one) => leaves(one, [...words, one.name()]));
}
const commands = leaves(createProgram());

/** Some commands accept all options of `serve` but use only a few. Only these few are not hidden. */
const shown = (command) => command.options.filter(({ hidden }) => !hidden);

// --- the manual page

/** Escapes a text for roff: backslashes, hyphens, so that copied commands work, and characters that would begin a request. */
const roff = (text) =>
  withInstalledPages(text)
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1');
const defaultOf = ({ defaultValue }) =>
  defaultValue === undefined || defaultValue === '' || defaultValue === false
    ? ''
    : ` (default: ${defaultValue})`;

function manual() {
  const options = (command) =>
    shown(command).map(
      (option) => `.TP\n.B ${roff(option.flags)}\n${roff(`${option.description}${defaultOf(option)}`)}`,
    );
  return [
    `.TH DOCKBRIDGE 8 "${date}" "dockbridge ${DOCKBRIDGE_VERSION}" "System Administration"`,
    '.SH NAME',
    `dockbridge \\- ${roff('Kubernetes CRI (runtime.v1) for Docker Engine')}`,
    '.SH SYNOPSIS',
    ...commands.map(({ words }) => `.B dockbridge ${roff(words.join(' '))}\n[options]\n.br`),
    '.SH DESCRIPTION',
    roff(
      'dockbridge serves the Container Runtime Interface to kubelet and drives Docker Engine. It can be stopped, upgraded and killed while pods run; the pods keep running.',
    ),
    ...commands.flatMap(({ words, command }) => [
      `.SH ${roff(words.join(' ').toUpperCase())}`,
      roff(command.description()),
      ...options(command),
    ]),
    '.SH FILES',
    ...[
      ['/etc/dockbridge/config.yaml', 'options; all of them are there as comments, with their defaults'],
      [
        '/etc/dockbridge/config.d/*.yaml',
        'further files with options, read after that file in the order of their names; the last file that sets an option counts',
      ],
      [
        '/etc/default/dockbridge',
        'options of the service, as environment variables, which override those files',
      ],
      ['/run/dockbridge', 'metrics and control sockets'],
      ['/var/lib/dockbridge', 'positions in container logs, and other state that must outlive a restart'],
      ['/usr/share/doc/dockbridge', 'the manuals: switching, troubleshooting, networking, logs and others'],
      [
        '/usr/share/doc/dockbridge/examples',
        'files of kubelet, dockbridge and crictl, alert rules and a dashboard',
      ],
    ].map(([path, what]) => `.TP\n.I ${roff(path)}\n${roff(what)}`),
    '.SH SEE ALSO',
    '.BR systemctl (1),\n.BR docker (1),\n.BR crictl (1)',
    '',
  ].join('\n');
}

// --- completions

const flags = (command) => shown(command).flatMap(({ long, short }) => [long, short].filter((flag) => flag));
const first = [...new Set(commands.map(({ words }) => words[0]))];
const cases = (indent, line) =>
  commands
    .map(({ words, command }) => `${indent}'${words.join(' ')}') ${line(flags(command).join(' '))} ;;`)
    .join('\n');
/** Maps each command that has subcommands to the names of these. */
const groups = new Map();
for (const { words } of commands)
  if (words.length > 1) groups.set(words[0], [...(groups.get(words[0]) ?? []), words[1]]);
const groupCases = (indent, line) =>
  [...groups].map(([name, members]) => `${indent}${name}) ${line(members.join(' '))} ;;`).join('\n');
const anyGroup = [...groups.keys()].join(' | ');

const bash = `# Completion of dockbridge for bash.
_dockbridge() {
  local word=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]:-}
  if [ "$COMP_CWORD" = 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '${first.join(' ')} --version --help' -- "$word")
    return
  fi
  case $command in
    ${anyGroup}) [ "$COMP_CWORD" = 2 ] || command+=" \${COMP_WORDS[2]}" ;;
  esac
  local words=''
  case $command in
${groupCases('    ', (list) => `words='${list}'`)}
${cases('    ', (list) => `words='${list}'`)}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$word")
}
complete -o default -F _dockbridge dockbridge
`;

const zsh = `#compdef dockbridge
# Completion of dockbridge for zsh.
local command=$words[2]
if (( CURRENT == 2 )); then
  compadd -- ${first.join(' ')} --version --help
  return
fi
case $command in
  ${anyGroup}) (( CURRENT == 3 )) || command="$command $words[3]" ;;
esac
case $command in
${groupCases('  ', (list) => `compadd -- ${list}`)}
${cases('  ', (list) => `compadd -- ${list} --help || _files`)}
esac
`;

writeFileSync(join(directory, 'dockbridge.8'), manual());
writeFileSync(join(directory, 'dockbridge.bash'), bash);
writeFileSync(join(directory, '_dockbridge'), zsh);
