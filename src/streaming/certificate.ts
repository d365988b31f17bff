import { createSecureContext } from 'node:tls';
import { invalidArgument, messageOf } from '../lib/errors';
import { SmallFile } from '../node/disk/files';

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Limit of a file. A chain of certificates needs a hundredth of it. */
const MAX_FILE_BYTES = 1024 * 1024;
const CERT_OPTION = '--streaming-tls-cert-file';
const KEY_OPTION = '--streaming-tls-private-key-file';

/**
 * Reads a certificate and its key.
 * @throws INVALID_ARGUMENT with the faulty file: it cannot be read, is not PEM, or does not belong to the other file.
 */
export async function loadCertificate({ certFile, keyFile }: TlsFiles): Promise<Certificate> {
  const cert = await read(CERT_OPTION, certFile);
  const key = await read(KEY_OPTION, keyFile);
  attempt(CERT_OPTION, certFile, 'is not a certificate', () => createSecureContext({ cert }));
  attempt(KEY_OPTION, keyFile, `is not the key of ${certFile}`, () => createSecureContext({ cert, key }));
  return { cert, key };
}

async function read(option: string, path: string): Promise<string> {
  try {
    return await new SmallFile(path, MAX_FILE_BYTES).text();
  } catch (error) {
    throw invalidArgument(option, `${path} cannot be read (${messageOf(error)})`);
  }
}

function attempt(option: string, path: string, what: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    throw invalidArgument(option, `${path} ${what} (${messageOf(error)})`);
  }
}
