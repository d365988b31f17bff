import { effectsOf, type EffectValue, type Effects } from './effect';
import type { Sections } from './probe';

type Entry = readonly [name: string, value: EffectValue | undefined];

/** Names, files that runtimes write, kernel settings, devices and networks. */
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

/** A file whose lines have columns: comments, and how wide the columns are, mean nothing. */
function tableLines(text: string | undefined): string[] | undefined {
  return text
    ?.split('\n')
    .map((line) => line.replace(/#.*/, '').trim().replace(/\s+/g, ' '))
    .filter((line) => line !== '');
}

/** The resolver asks the servers in their order, and so with the searches; options have none. */
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

/** Lines of `stat`: name, kind, numbers in hexadecimal, mode, owner. */
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

/** What was tried: `write /effects/ro no`. */
function access(text: string | undefined): Entry[] {
  return (text ?? '').split('\n').flatMap((line): Entry[] => {
    const [, what, answer] = /^(\w.*) (yes|no)$/.exec(line) ?? [];
    return what === undefined ? [] : [[`can ${what}`, answer]];
  });
}
