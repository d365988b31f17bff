import { invalidArgument } from '../lib/errors';
import type { TlsFiles } from '../streaming/certificate';
import { OPTIONS, type Settings } from './options';

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
    throw invalidArgument(`--${cert.name}`, `and --${key.name} need each other`);
  }
  return { certFile, keyFile };
}
