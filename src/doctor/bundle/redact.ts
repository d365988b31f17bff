/** Stands where a secret was. */
export const REMOVED = '[removed]';

/** Keys whose values are secrets, whatever they hold; `auths` of a docker config and headers of requests among them. */
const SECRET =
  /pass(word|wd|phrase)?$|^pass|secret|token|^auths?$|_auth$|authorization|credential|private.?key|api.?key|access.?key|bearer|cookie|header/i;
/** They name where a secret is, which is what one wants to know. */
const PLACE = /(file|path|dir|directory|endpoint|uri|ttl|timeout|enabled|mode|name)$/i;

function isSecret(key: string): boolean {
  return SECRET.test(key) && !PLACE.test(key);
}

/**
 * A value of JSON without what must not leave the node: values under keys that say so, values of environment variables, and
 * what `redactText` finds in all other strings.
 */
export function redactJson(value: unknown, key = ''): unknown {
  if (isSecret(key) && !isSection(key, value) && value !== null && typeof value !== 'boolean' && value !== '')
    return REMOVED;
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.map((item) => (isEnvironment(key) ? redactVariable(item) : redactJson(item)));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      redactText(name),
      isEnvironment(key) && typeof inner === 'string' ? REMOVED : redactJson(inner, name),
    ]),
  );
}

/** kubelet's configuration has a part of that name. */
function isSection(key: string, value: unknown): boolean {
  return /^authorization$/i.test(key) && typeof value === 'object';
}

function isEnvironment(key: string): boolean {
  return /^env(ironment|s)?$/i.test(key);
}

/** `NAME=value`, or `{name, value}` as Kubernetes has them. */
function redactVariable(item: unknown): unknown {
  if (typeof item === 'string') return item.replace(/=.*$/s, `=${REMOVED}`);
  if (typeof item !== 'object' || item === null) return item;
  return Object.fromEntries(
    Object.entries(item).map(([name, value]) => [
      name,
      /^(name|key)$/i.test(name) ? (value as unknown) : REMOVED,
    ]),
  );
}

/** Begins where a word does and looks no further than a name is long: a line may have a megabyte of one word. */
const WORD =
  '(?<![\\w.-])[\\w.-]{0,128}?(?:passw(?:or)?d|passphrase|secret|token|authorization|credentials?|private[_-]?key|api[_-]?key|access[_-]?key|x-registry-auth)[\\w.-]{0,128}';

/** Each with what stands in its place. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REMOVED],
  // kubelet dumps a container that it cannot start in Go's notation; where a value ends in it cannot be told.
  [/Env(From)?:\[\]EnvVar.*/g, `Env:${REMOVED}`],
  [/(\b[a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/@"']+@/gi, `$1${REMOVED}@`],
  [/\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g, REMOVED],
  [/\b(bearer|basic)(\s+)[\w.~+/=-]{6,}/gi, `$1$2${REMOVED}`],
  // `--token x`, `password=x`, `"secret": "x"`, and in JSON within JSON `\"token\":\"x\"`.
  [
    new RegExp(
      `(${WORD})(\\\\?["']?\\s*[:=]\\s*)(\\\\?"(?:[^"\\\\\\n]|\\\\(?!"))*\\\\?"|'[^'\\n]*'|[^\\s,;}&]+)`,
      'gi',
    ),
    `$1$2${REMOVED}`,
  ],
  [new RegExp(`((?=--)${WORD})(\\s+)(?!-)\\S+`, 'gi'), `$1$2${REMOVED}`],
  [/("(?:auth|identitytoken)\\?"\s*:\s*\\?")[^"\\]+/gi, `$1${REMOVED}`],
];

/** Text that nobody can parse: logs, command lines. */
export function redactText(text: string): string {
  return PATTERNS.reduce((rest, [pattern, place]) => rest.replace(pattern, place), text);
}

/** Words of a command line; a flag's value may be the next word. */
export function redactArguments(args: readonly string[]): string[] {
  return args.map((word, at) => {
    const before = /^--?([\w.-]+)$/.exec(args[at - 1] ?? '')?.[1] ?? '';
    if (isSecret(before) && !word.startsWith('-')) return REMOVED;
    const [, flag, name = ''] = /^(--?([\w.-]+)=)/.exec(word) ?? [];
    return flag !== undefined && isSecret(name) ? `${flag}${REMOVED}` : redactText(word);
  });
}
