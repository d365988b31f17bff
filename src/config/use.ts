import { connectDocker } from '../docker/transport';
import { invalidArgument, messageOf } from '../lib/errors';
import { networkChoice } from '../network/pod-networks';
import { parseEndpoint } from '../server/listener/socket-listener';
import { loadCertificate, type TlsFiles } from '../streaming/certificate';
import { parseReference } from '../translate/image/reference';
import type { Fault } from './fault';
import {
  OPTIONS,
  sourcedOptions,
  type FileValues,
  type Given,
  type SettingKey,
  type Settings,
} from './options';

type Attempt = (settings: Settings) => unknown;

/** The steps of a start that validate a setting and do nothing else. */
const ATTEMPTS: readonly (readonly [SettingKey, Attempt])[] = [
  // systemd passes its sockets only to the service, so they cannot be tried here.
  ['endpoint', ({ endpoint }) => endpoint === 'fd://' || parseEndpoint(endpoint, {}, 0)],
  ['dockerEndpoint', ({ dockerEndpoint }) => connectDocker(dockerEndpoint, undefined)],
  ['networkPlugin', ({ networkPlugin }) => networkChoice(networkPlugin)],
  ['podInfraContainerImage', ({ podInfraContainerImage: image }) => parseReference(image, 'image')],
  [
    'streamingTlsCertFile',
    (settings) => {
      const files = streamingTls(settings);
      return files === undefined ? undefined : loadCertificate(files);
    },
  ],
];

/** Finds values that have the right type but that the daemon would refuse. */
export async function faultsInUse(
  settings: Settings,
  given: Given,
  environment: NodeJS.ProcessEnv,
  files: FileValues,
): Promise<Fault[]> {
  const places = new Map(
    sourcedOptions(given, environment, files).map(([key, , { place, at }]) => [key, { place, at }]),
  );
  const faults: Fault[] = [];
  for (const [key, attempt] of ATTEMPTS) {
    try {
      await attempt(settings);
    } catch (error) {
      const { place = '', at } = places.get(key) ?? {};
      // The daemon's message names only a flag. The place in the file is more helpful, so it is used instead.
      const why = messageOf(error).replace(/^(--[\w-]+|endpoint|image): /, '');
      const named = at === undefined ? place : place.slice(`${at.file}:${at.line}: `.length);
      faults.push({ file: at?.file ?? '', line: at?.line ?? 0, message: `${named}: ${why}` });
    }
  }
  return faults;
}

/**
 * @returns undefined for a streaming server without TLS.
 * @throws INVALID_ARGUMENT when only one of the two files is named.
 */
export function streamingTls({
  streamingTlsCertFile: certFile,
  streamingTlsPrivateKeyFile: keyFile,
}: Pick<Settings, 'streamingTlsCertFile' | 'streamingTlsPrivateKeyFile'>): TlsFiles | undefined {
  if (certFile === '' && keyFile === '') return undefined;
  if (certFile === '' || keyFile === '') {
    const { streamingTlsCertFile: cert, streamingTlsPrivateKeyFile: key } = OPTIONS;
    throw invalidArgument(`--${cert.name}`, `needs --${key.name} too, and vice versa`);
  }
  return { certFile, keyFile };
}
