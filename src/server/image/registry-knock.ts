import http from 'node:http';
import https from 'node:https';

const LIMIT_MS = 5_000;
const HUB = 'registry-1.docker.io';

/**
 * The HTTP status with which a registry answers a stranger's `GET /v2/`: 401 when it wants credentials. Nothing secret
 * is sent and nothing else is believed, so any certificate will do, and plain HTTP where there is no TLS.
 * @returns undefined when nothing answers.
 */
export async function knockAtRegistry(host: string, signal: AbortSignal): Promise<number | undefined> {
  const target = host === 'docker.io' ? HUB : host;
  return (
    (await statusOf(https, `https://${target}/v2/`, signal)) ??
    (await statusOf(http, `http://${target}/v2/`, signal))
  );
}

function statusOf(
  library: typeof http | typeof https,
  url: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const options = { signal, timeout: LIMIT_MS, rejectUnauthorized: false, agent: false };
    const request = library.get(url, options, (reply) => {
      reply.destroy();
      resolve(reply.statusCode);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
    // `timeout` is of silence: a lookup that hangs is not in it.
    const timer = setTimeout(() => request.destroy(), LIMIT_MS);
    request.on('close', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
