import { effectsOf, type EffectValue, type Effects } from './effect';
import type { Sections } from './probe';

type Entry = readonly [name: string, value: EffectValue | undefined];

/** Returns host names, the files that runtimes write into /etc, sysctls, devices, network interfaces, and the results of attempts. */
export function surroundingsEffects(sections: Sections): Effects {
  return effectsOf([
    ['hostname', sections.get('hostname')?.trim()],
    ['/etc/hostname', sections.get('/etc/hostname')?.trim()],
    ['/etc/hosts', tableLines(sections.get('/etc/hosts'))],
    ...resolvConf(sections.get('/etc/resolv.conf')),
    ...[...sections].flatMap(([name, text]): Entry[] =>
      name.startsWith('sysctl.')
        ? [[`sysctl ${name.slice('sysctl.'.length)}`, text.trim().replace(/\s+/g, ' ')]]
        : [],
    ),
    ['devices', devices(sections.get('devices'))],
    ['interfaces', tableLines(sections.get('interfaces'))],
    ...access(sections.get('access')),
  ]);
}

/** Returns the lines of a file with columns, without comments and with single spaces. */
function tableLines(text: string | undefined): string[] | undefined {
  return text
    ?.split('\n')
    .map((line) => line.replace(/#.*/, '').trim().replace(/\s+/g, ' '))
    .filter((line) => line !== '');
}

/** Returns the contents of resolv.conf. The order of servers and search domains has a meaning, and the order of options has none. */
function resolvConf(text: string | undefined): Entry[] {
  if (text === undefined) return [];
  const of = (keyword: string): string[] =>
    (tableLines(text.replace(/;.*/g, '')) ?? []).flatMap((line) => {
      const [first, ...rest] = line.split(' ');
      return first === keyword ? rest : [];
    });
  return [
    ['resolv.conf nameserver', of('nameserver').join(' ')],
    ['resolv.conf search', of('search').join(' ')],
    ['resolv.conf options', of('options')],
  ];
}

const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^character special/, 'c'],
  [/^block special/, 'b'],
  [/^directory/, 'directory'],
  [/^symbolic link/, 'link'],
];

/** Parses lines of `stat`: name, kind, device numbers in hexadecimal, mode, owner. */
function devices(text: string | undefined): string[] | undefined {
  return text?.split('\n').flatMap((line) => {
    const [name = '', kind = '', numbers = '', mode = '', owner = ''] = line.split('|');
    if (owner === '') return [];
    const short = KINDS.find(([pattern]) => pattern.test(kind))?.[1] ?? kind;
    if (short === 'link') return [`${name} link`];
    const [major = '', minor = ''] = numbers.split(':').map((part) => String(parseInt(part, 16)));
    return [`${name} ${short} ${'cb'.includes(short) ? `${major}:${minor} ` : ''}${mode} ${owner}`];
  });
}

/** Parses the results of attempts, such as `write /effects/read-only no`. */
function access(text: string | undefined): Entry[] {
  return (text ?? '').split('\n').flatMap((line): Entry[] => {
    const [, what, answer] = /^(\w.*) (yes|no)$/.exec(line) ?? [];
    return what === undefined ? [] : [[`can ${what}`, answer]];
  });
}
