/** Stands where a secret was. */
export const REMOVED = '[removed]';

/** Words that mark a secret anywhere in a name. */
const LONG_WORDS =
  'passw(?:or)?d|passphrase|secret|token|signature|authorization|credential|(?:private|api|access|signing|encryption|pre[_. -]?shared)[_. -]?key|key[_. -]?data';
/** Words that mark a secret only if they stand apart or end the name, because `bypass-rules` and `signal` contain them too. */
const SHORT_WORDS = '(?<![a-z])(?:pass|pwd|psk|dsn|sig)(?![a-z])|(?:pass|pwd|psk|dsn)\\d{0,4}(?![\\w.-])';

/** Keys whose values count as secrets whatever they hold, such as `auths` of a docker config and headers of requests. */
const SECRET = new RegExp(`${LONG_WORDS}|${SHORT_WORDS}|^pass|^auths?$|_auth$|bearer|cookie|header`, 'i');
/** Such names tell where a secret is kept, which a maintainer wants to know. */
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

/** A match begins at a word and is limited in length, because a line may contain a word of a megabyte. */
const WORD = `(?<![\\w.-])[\\w.-]{0,128}?(?:${LONG_WORDS}|${SHORT_WORDS}|x-registry-auth)[\\w.-]{0,128}`;

/** What to look for, and what to put in its place. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REMOVED],
  // At its level debug, dockerd logs the bodies of requests: environments, command lines and labels of containers.
  [/(form[ -]data"?\s{0,8}[:=]\s{0,8}).*/gi, `$1${REMOVED}`],
  // Ends at the first quote with as many backslashes as the name of the list has, or is cut off.
  [
    /((?<!\\)(\\{0,15})"env(?:ironment)?\2"\s{0,8}:\s{0,8})\[(?!\s{0,8}\]).*?(?:(?<!\\)\2"[\s}]{0,8}\]|$)/gim,
    `$1${REMOVED}`,
  ],
  // kubelet dumps a container that it cannot start in Go's notation, which does not show where a value ends.
  [/Env(From)?:\[\]EnvVar.*/g, `Env:${REMOVED}`],
  [/\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g, REMOVED],
  [/\b(bearer|basic)(\s+)[\w.~+/=-]{6,}/gi, `$1$2${REMOVED}`],
  // `-u user:password` of curl, but not `-u 1000:1000` of `docker run`.
  [/((?<![\w-])(?:-u|--(?:proxy-)?user)[\s=]{0,8})(["'])[^"'\n:]{1,256}:[^\n]*?\2/g, `$1${REMOVED}`],
  [
    /((?<![\w-])(?:-u|--(?:proxy-)?user)[\s=,\\"']{0,8})(?!\d{1,10}:\d{1,10}(?!\w))[^\s:"',\\]{1,256}:[^\s"]+/g,
    `$1${REMOVED}`,
  ],
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
  return PATTERNS.reduce(
    (rest, [pattern, place]) => rest.replace(pattern, place),
    replaceUserinfo(text, REMOVED),
  );
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

/**
 * From `//` to the last `@` before the path: Go's url.Parse takes `@`, `'` and more in a password. No part of the text is
 * looked at twice, however long its words are: a match begins at `//` and goes no further than the next slash.
 */
const USERINFO = /(?<!\/)\/\/[^\s/"]+@/g;

/** Replaces the names and passwords that URLs in the text have before their hosts. */
export function replaceUserinfo(text: string, place: string): string {
  return text.replace(USERINFO, () => `//${place}@`);
}
