import { REMOVED } from '../../doctor/bundle/redact';
import { isObject, text, type JsonObject } from '../../lib/json';
import type { NodeFacts } from '../facts';
import type { Finding } from '../finding';

export interface DockerProxy {
  /** The URLs with their passwords; '' for none and for one whose password is unknown. */
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
  /** The variables whose passwords are in no text that the plan can read, with their values without passwords. */
  readonly missing: readonly { readonly variable: string; readonly shown: string }[];
}

/** What dockerd was started with. The texts hold secrets and exist only while dockerd runs. */
export function dockerdProcessFiles({ processes }: Pick<NodeFacts, 'processes'>): string[] {
  return (processes?.programs ?? [])
    .filter(({ name }) => name === 'dockerd')
    .flatMap(({ pid }) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]);
}

/**
 * Returns the proxies of the Engine. The Engine's answer and the facts show a URL without its password, so the password is searched
 * in the texts of the node.
 * @param merged the Engine's settings, which override its environment.
 */
export function dockerProxy(
  facts: NodeFacts,
  merged: JsonObject,
  read: (path: string) => string | undefined,
): DockerProxy {
  const { HttpProxy = '', HttpsProxy = '', NoProxy = '' } = facts.engine?.info ?? {};
  const settings = isObject(merged.proxies) ? merged.proxies : {};
  const paths = [
    ...dockerdProcessFiles(facts),
    ...Object.keys(facts.files).filter((path) =>
      /\/docker\.service(\.d\/|$)|^\/etc\/(default|sysconfig)\/docker$/.test(path),
    ),
  ];
  const values = paths.flatMap((path) => valuesIn(read(path) ?? ''));
  const http = withPassword(text(settings['http-proxy']) || HttpProxy, values);
  const https = withPassword(text(settings['https-proxy']) || HttpsProxy, values);
  const found = [
    { variable: 'HTTP_PROXY', ...http },
    { variable: 'HTTPS_PROXY', ...https },
  ];
  return {
    proxy: { http: http.url, https: https.url, no: text(settings['no-proxy']) || NoProxy },
    missing: found
      .filter(({ url, shown }) => url === '' && shown !== '')
      .map(({ variable, shown }) => ({ variable, shown })),
  };
}

/** Returns the finding for passwords that a person has to write; none when there are none. */
export function proxyFindings({ missing }: DockerProxy, unit: string): Finding[] {
  if (missing.length === 0) return [];
  const variables = missing.map(({ variable }) => variable).join(' and ');
  return [
    {
      id: 'proxy',
      severity: 'change',
      summary: "The plan cannot read the password of Docker's proxy.",
      evidence: missing.map(({ variable, shown }) => ({ where: 'engine', what: `${variable} ${shown}` })),
      advice:
        `Add ${variables} with the password to /etc/systemd/system/${unit}.service.d/10-proxy-from-docker.conf before the step start-target, ` +
        'and let only root read that file.',
      link: 'docs/migrating.md#proxy',
    },
  ];
}

function withPassword(shown: string, values: readonly string[]): { url: string; shown: string } {
  // moby puts `xxxxx:xxxxx` in the place of user and password, and the gathering REMOVED.
  if (!shown.includes(REMOVED) && !shown.includes('xxxxx:xxxxx@')) return { url: shown, shown };
  const masked = maskOf(shown);
  const url = values.find((value) => value !== shown && maskOf(value) === masked) ?? '';
  return { url, shown: masked };
}

/** Returns a URL without its user. The scheme may be missing, as Go accepts it. */
function maskOf(url: string): string {
  return url.replace(/^([a-z][\w+.-]*:\/\/)?[^\s/]*@/i, `$1${REMOVED}@`).replace(/\/$/, '');
}

/**
 * Returns what may be a URL with a password in a unit, an environment file, or the command line or environment of a process. More
 * than that is returned, because each value is compared with the URL that is looked for.
 */
function valuesIn(content: string): string[] {
  const words = content.split(content.includes('\0') ? '\0' : /\s+/).filter((word) => word.includes('@'));
  return words
    .flatMap((word) => [word, ...[...word.matchAll(/=/g)].map(({ index }) => word.slice(index + 1))])
    .map((value) => value.replace(/^["']|["']$/g, ''))
    .flatMap((value) => [value, unescaped(value)])
    .filter((value) => value.includes('@') && !value.includes(REMOVED));
}

/** systemd.unit(5): `%%` is a percent sign, and a backslash escapes the next character. */
function unescaped(value: string): string {
  return value.replaceAll('%%', '%').replace(/\\(.)/g, '$1');
}
