/** The text that replaces a secret. */
export const REMOVED = '[removed]';

/** Words that mark a secret wherever they occur in a name. */
const LONG_WORDS =
  'passw(?:or)?d|passphrase|secret|token|signature|authorization|credential|(?:private|api|access|signing|encryption|pre[_. -]?shared)[_. -]?key|key[_. -]?data';
/**
 * Words that mark a secret only as a separate word or at the end of the name. Other names contain them too, such as
 * `bypass-rules` and `signal`.
 */
const SHORT_WORDS = '(?<![a-z])(?:pass|pwd|psk|dsn|sig)(?![a-z])|(?:pass|pwd|psk|dsn)\\d{0,4}(?![\\w.-])';

/** Keys whose values always count as secrets, such as `auths` in a docker config and the headers of requests. */
const SECRET = new RegExp(`${LONG_WORDS}|${SHORT_WORDS}|^pass|^auths?$|_auth$|bearer|cookie|header`, 'i');
/** The endings of keys whose values are no secrets themselves, such as the path of a token. Such values help maintainers. */
const PLACE = /(file|path|dir|directory|endpoint|uri|ttl|timeout|enabled|mode|name)$/i;

function isSecret(key: string): boolean {
  return SECRET.test(key) && !PLACE.test(key);
}

/**
 * Returns a JSON value without its secrets. Replaces values under keys that mark secrets, values of environment variables, and
 * what `redactText` finds in all other strings.
 */
export function redactJson(value: unknown, key = ''): unknown {
  if (isSecret(key) && !isSection(key, value) && value !== null && typeof value !== 'boolean' && value !== '')
    return REMOVED;
  if (typeof value === 'string') return redactText(PROXY.test(key) ? withoutProxyUser(value) : value);
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

const PROXY = /^(https?|all|ftp)[_-]?proxy$/i;

/** Removes the user of a proxy that has no scheme, such as `user:password@proxy:3128`. */
function withoutProxyUser(proxy: string): string {
  return proxy.replace(/^[^\s/]{1,256}@/, `${REMOVED}@`);
}

/** Whether the value is kubelet's section `authorization`, which is kept although its key marks a secret. */
function isSection(key: string, value: unknown): boolean {
  return /^authorization$/i.test(key) && typeof value === 'object';
}

function isEnvironment(key: string): boolean {
  return /^env(ironment|s)?$/i.test(key);
}

/** Redacts an environment variable, which has the form `NAME=value` or, in Kubernetes, `{name, value}`. */
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

/** A match begins at the start of a word and is limited in length, because a line may contain a word of a megabyte. */
const WORD = `(?<![\\w.-])[\\w.-]{0,128}?(?:${LONG_WORDS}|${SHORT_WORDS}|x-registry-auth)[\\w.-]{0,128}`;

/** The patterns to look for, and their replacements. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REMOVED],
  // At the level debug, dockerd logs the bodies of requests, with environments, command lines and labels of containers.
  [/(form[ -]data"?\s{0,8}[:=]\s{0,8}).*/gi, `$1${REMOVED}`],
  // The list ends at the first quote that has as many backslashes as the quote of its name, or at the end of a line that was
  // cut off.
  [
    /((?<!\\)(\\{0,15})"env(?:ironment)?\2"\s{0,8}:\s{0,8})\[(?!\s{0,8}\]).*?(?:(?<!\\)\2"[\s}]{0,8}\]|$)/gim,
    `$1${REMOVED}`,
  ],
  // If kubelet cannot start a container, it logs the container in Go's notation, in which the end of a value cannot be
  // recognized.
  [/Env(From)?:\[\]EnvVar.*/g, `Env:${REMOVED}`],
  [/\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g, REMOVED],
  [/\b(bearer|basic)(\s+)[\w.~+/=-]{6,}/gi, `$1$2${REMOVED}`],
  // This matches `-u user:password` of curl, but not `-u 1000:1000` of `docker run`.
  [/((?<![\w-])(?:-u|--(?:proxy-)?user)[\s=]{0,8})(["'])[^"'\n:]{1,256}:[^\n]*?\2/g, `$1${REMOVED}`],
  [
    /((?<![\w-])(?:-u|--(?:proxy-)?user)[\s=,\\"']{0,8})(?!\d{1,10}:\d{1,10}(?!\w))[^\s:"',\\]{1,256}:[^\s"]+/g,
    `$1${REMOVED}`,
  ],
  // Go also accepts a proxy without a scheme. replaceUserinfo does not recognize such a proxy as a URL.
  [/((?:https?|all|ftp)[_-]?proxy\\?["']?\s{0,8}[:=]\s{0,8}\\?["']?)[^\s"'\\/]{1,256}@/gi, `$1${REMOVED}@`],
  // This matches `--token x`, `password=x`, `"secret": "x"` and, in JSON within JSON, `\"token\":\"x\"`.
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

/** Redacts text that has no structure, such as logs and command lines. */
export function redactText(text: string): string {
  return PATTERNS.reduce(
    (rest, [pattern, place]) => rest.replace(pattern, place),
    replaceUserinfo(text, REMOVED),
  );
}

/** Redacts the words of a command line. A flag's value may be the next word. */
export function redactArguments(args: readonly string[]): string[] {
  return args.map((word, at) => {
    const before = /^--?([\w.-]+)$/.exec(args[at - 1] ?? '')?.[1] ?? '';
    if (isSecret(before) && !word.startsWith('-')) return REMOVED;
    if (PROXY.test(before)) return redactText(withoutProxyUser(word));
    const [, flag, name = ''] = /^(--?([\w.-]+)=)/.exec(word) ?? [];
    return flag !== undefined && isSecret(name) ? `${flag}${REMOVED}` : redactText(word);
  });
}

/**
 * Matches from `//` to the last `@` before the path, because Go's url.Parse accepts `@`, `'` and other characters in a
 * password. A match begins at `//` and ends before the next slash at the latest, so no part of the text is examined twice, even
 * if its words are very long.
 */
const USERINFO = /(?<!\/)\/\/[^\s/"]+@/g;

/** Replaces the names and passwords that URLs in the text have before their hosts. */
export function replaceUserinfo(text: string, place: string): string {
  return text.replace(USERINFO, () => `//${place}@`);
}
