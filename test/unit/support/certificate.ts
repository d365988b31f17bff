import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TlsFiles } from '../../../src/streaming/certificate';

const run = promisify(execFile);

/** Writes a self-signed certificate for 127.0.0.1 and its key, as NAME.crt and NAME.key. */
export async function selfSigned(directory: string, name = 'tls'): Promise<TlsFiles> {
  const files = { certFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
    ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', files.keyFile, '-out', files.certFile],
  ]);
  return files;
}
