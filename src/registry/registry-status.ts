import http from 'node:http';
import https from 'node:https';

const HUB = 'registry-1.docker.io';

/**
 * The HTTP status of a registry's answer to an anonymous `GET /v2/`: 401 if it wants credentials. Nothing secret is sent and
 * only the status is used, so any certificate is accepted, and plain HTTP if there is no TLS.
 * @param signal ends the request, because a registry may never answer.
 * @returns undefined when nothing answers.
 */
export async function anonymousStatus(host: string, signal: AbortSignal): Promise<number | undefined> {
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
    const request = library.get(url, { signal, rejectUnauthorized: false, agent: false }, (reply) => {
      reply.destroy();
      resolve(reply.statusCode);
    });
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });
}
