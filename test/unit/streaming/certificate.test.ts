import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { silentLogger } from '../../../src/lib/logger';
import type { StreamingBackend } from '../../../src/streaming/backend';
import { loadCertificate, type TlsFiles } from '../../../src/streaming/certificate';
import { StreamingServer } from '../../../src/streaming/server';
import { selfSigned } from '../support/certificate';
import { rejectionOf } from '../support/errors';

let directory: string;
let first: TlsFiles;
let second: TlsFiles;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-certificate-'));
  first = await selfSigned(directory, 'first');
  second = await selfSigned(directory, 'second');
});
afterAll(() => rm(directory, { recursive: true }));

const none = () => Promise.reject(new Error('not asked for'));
const backend: StreamingBackend = { exec: none, attach: none, connect: none };

/** Returns the name in the certificate that a new connection gets. */
async function nameAt(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(url);
    const socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('loadCertificate', () => {
  it.each<[string, () => Partial<TlsFiles> | Promise<Partial<TlsFiles>>, RegExp]>([
    [
      'a certificate is missing',
      () => ({ certFile: '/none.crt' }),
      /^--streaming-tls-cert-file: \/none\.crt cannot be read/,
    ],
    [
      'a key is missing',
      () => ({ keyFile: '/none.key' }),
      /^--streaming-tls-private-key-file: \/none\.key cannot be read/,
    ],
    [
      'the key belongs to another certificate',
      () => ({ keyFile: second.keyFile }),
      /private-key-file: .*second\.key is not the key of .*first\.crt/,
    ],
    [
      'a certificate is invalid',
      async () => {
        const certFile = join(directory, 'broken.crt');
        await writeFile(certFile, 'nonsense');
        return { certFile };
      },
      /cert-file: .*broken\.crt is not a certificate/,
    ],
  ])('names the unusable file when %s', async (_, change, why) => {
    const message = (await rejectionOf(loadCertificate({ ...first, ...(await change()) }))).replace(
      'INVALID_ARGUMENT ',
      '',
    );
    expect(message).toMatch(why);
  });
});

describe('a server that gets another certificate', () => {
  it('uses it for new connections, and keeps the old one if the new one is unusable', async () => {
    const files = { certFile: join(directory, 'now.crt'), keyFile: join(directory, 'now.key') };
    await copyFile(first.certFile, files.certFile);
    await copyFile(first.keyFile, files.keyFile);
    const server = new StreamingServer({
      ...{ bind: { host: '127.0.0.1', port: 0 }, tls: files, backend, logger: silentLogger },
    });
    const url = await server.listen();
    try {
      expect(await nameAt(url)).toBe('first');
      // Half of a rotation: the certificate is new, and its key is still the old one.
      await copyFile(second.certFile, files.certFile);
      await expect(server.prepareCertificate(files)).rejects.toThrow('is not the key of');
      expect(await nameAt(url)).toBe('first');
      await copyFile(second.keyFile, files.keyFile);
      const takeUp = await server.prepareCertificate(files);
      expect(await nameAt(url)).toBe('first');
      takeUp();
      expect(await nameAt(url)).toBe('second');
    } finally {
      await server.close();
    }
  });

  it('stays without TLS if it started without', async () => {
    const server = new StreamingServer({
      bind: { host: '127.0.0.1', port: 0 },
      backend,
      logger: silentLogger,
    });
    const url = await server.listen();
    (await server.prepareCertificate(first))();
    await expect(nameAt(url)).rejects.toThrow();
    expect((await fetch(`${url}/exec/none`)).status).toBe(404);
    await server.close();
  });
});
