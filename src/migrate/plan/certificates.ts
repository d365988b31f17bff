import type { Target } from '../mapping/row';
import { CERTS_D, type Certificates } from './registries';
import { quoted } from './shell';

const DOCKERS = '/etc/docker/certs.d';
const DIRECTORIES: Readonly<Record<Target, string>> = {
  containerd: CERTS_D,
  'cri-o': '/etc/containers/certs.d',
};

/** What carries the certificates of registries over to the target. */
export interface CertificateCopy {
  /** The target's directory if it exists; the backup holds it. */
  readonly present: readonly string[];
  readonly commands: readonly string[];
  readonly undo: readonly string[];
}

/**
 * Copies each certificate that the target does not have. One that is there already may be another one, and stays.
 * @param names the names in the target's directory, as `HOST/FILE`; undefined when there is no such directory.
 */
export function certificateCopy(
  certificates: Certificates,
  target: Target,
  names: readonly string[] | undefined,
): CertificateCopy {
  const directory = DIRECTORIES[target];
  const missing = Object.entries(certificates).flatMap(([host, files]) =>
    files.map((file) => `${host}/${file}`).filter((name) => names?.includes(name) !== true),
  );
  const hosts = [...new Set(missing.map((name) => name.split('/', 1)[0] ?? ''))];
  const places = hosts.map((host) => quoted(`${directory}/${host}`));
  return {
    present: names === undefined ? [] : [directory],
    commands: [
      ...(places.length === 0 ? [] : [`mkdir -p ${places.join(' ')}`]),
      ...missing.map((name) => {
        const to = quoted(`${directory}/${name}`);
        const draft = quoted(`${directory}/${name}.new`);
        // A link would lead into /etc/docker, which goes in the end. An interrupted copy must not count as a certificate.
        return `test -e ${to} || { cp -pL ${quoted(`${DOCKERS}/${name}`)} ${draft} && mv ${draft} ${to}; }`;
      }),
    ],
    undo: [
      ...missing.map(
        (name) => `rm -f ${quoted(`${directory}/${name}`)} ${quoted(`${directory}/${name}.new`)}`,
      ),
      ...(places.length === 0 ? [] : [`rmdir --ignore-fail-on-non-empty ${places.join(' ')}`]),
    ],
  };
}

/** Returns the target's directory of certificates. */
export function certificatesDirectory(target: Target): string {
  return DIRECTORIES[target];
}
