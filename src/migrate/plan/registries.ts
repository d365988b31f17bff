import { stringify } from 'smol-toml';
import type { TargetSettings } from '../mapping/target-settings';
import { targetFile, type PlannedFile } from './node-file';

const PULL = ['pull', 'resolve'];

/** Certificates of a registry in the Engine's certs.d, by their file names. */
export type Certificates = Readonly<Record<string, readonly string[]>>;

export const CERTS_D = '/etc/containerd/certs.d';

/** Reads the listing of /etc/docker/certs.d, whose names are `HOST/FILE`. */
export function certificatesOf(names: readonly string[]): Certificates {
  const found: Record<string, string[]> = {};
  for (const name of names) {
    const [host = '', file = ''] = name.split('/', 2);
    if (/\.(crt|cert|key)$/.test(file)) (found[host] ??= []).push(file);
  }
  return found;
}

/** Writes a hosts.toml for docker.io, if it has mirrors, and for each insecure registry (containerd docs/hosts.md). */
export function hostsFiles(
  settings: TargetSettings,
  certificates: Certificates,
  origin: string,
): PlannedFile[] {
  const files: PlannedFile[] = [];
  if (settings.mirrors.length > 0) {
    const host = Object.fromEntries(
      settings.mirrors.map((url) => mirrorHost(url, settings.insecureRegistries, certificates)),
    );
    files.push(hostsFile('docker.io', { server: 'https://registry-1.docker.io', host }, origin));
  }
  for (const registry of settings.insecureRegistries) {
    if (registry === 'docker.io') continue;
    // The Engine tries TLS without verification first, then plain HTTP.
    const host = {
      [`https://${registry}`]: { capabilities: PULL, skip_verify: true, ...clientOf(registry, certificates) },
      [`http://${registry}`]: { capabilities: PULL },
    };
    files.push(hostsFile(registry, { server: `https://${registry}`, host }, origin));
  }
  return files;
}

function mirrorHost(url: string, insecure: readonly string[], certificates: Certificates): [string, object] {
  const { host, pathname } = new URL(url);
  const hasPath = pathname !== '/';
  const tls = url.startsWith('https:')
    ? {
        ...(insecure.includes(host) ? { skip_verify: true } : caOf(host, certificates)),
        ...clientOf(host, certificates),
      }
    : {};
  // containerd appends /v2 to the host only when the key has no path of its own.
  return [
    hasPath ? `${url}/v2` : url,
    { capabilities: PULL, ...(hasPath ? { override_path: true } : {}), ...tls },
  ];
}

function caOf(host: string, certificates: Certificates): object {
  const files = (certificates[host] ?? []).filter((file) => file.endsWith('.crt'));
  return files.length === 0 ? {} : { ca: files.map((file) => `${CERTS_D}/${host}/${file}`) };
}

function clientOf(host: string, certificates: Certificates): object {
  const files = certificates[host] ?? [];
  const pairs = files
    .filter((file) => file.endsWith('.cert') && files.includes(file.replace(/cert$/, 'key')))
    .map((file) => [`${CERTS_D}/${host}/${file}`, `${CERTS_D}/${host}/${file.replace(/cert$/, 'key')}`]);
  return pairs.length === 0 ? {} : { client: pairs };
}

function hostsFile(registry: string, content: object, origin: string): PlannedFile {
  return targetFile(`${CERTS_D}/${registry}/hosts.toml`, origin, stringify(content));
}

/** Writes the file for containers-registries.conf(5), which knows no schemes: an insecure location is one without TLS or without its verification. */
export function registriesConf(settings: TargetSettings, origin: string): PlannedFile {
  const registry: object[] = [];
  if (settings.mirrors.length > 0)
    registry.push({
      prefix: 'docker.io',
      location: 'docker.io',
      mirror: settings.mirrors.map((url) => {
        const { host, pathname } = new URL(url);
        const isInsecure = url.startsWith('http:') || settings.insecureRegistries.includes(host);
        return {
          location: `${host}${pathname.replace(/\/$/, '')}`,
          ...(isInsecure ? { insecure: true } : {}),
        };
      }),
    });
  for (const location of settings.insecureRegistries)
    if (location !== 'docker.io') registry.push({ location, insecure: true });
  return targetFile(
    '/etc/containers/registries.conf.d/10-from-docker.conf',
    origin,
    // Docker takes a name without a registry for docker.io; without this line CRI-O refuses such names.
    stringify({
      'unqualified-search-registries': ['docker.io'],
      ...(registry.length > 0 ? { registry } : {}),
    }),
  );
}
