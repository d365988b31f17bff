import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { internal, unavailable } from '../../lib/errors';

const MAX_BYTES = 4 << 20;

/**
 * A page of the daemon's metrics endpoint.
 * @throws when nobody answers in time, or with more than 4 MiB.
 */
export async function httpGet(
  address: { readonly path: string } | { readonly host: string; readonly port: number },
  page: string,
  limitMs: number,
): Promise<string> {
  const target = 'path' in address ? { socketPath: address.path } : address;
  const call = request({ ...target, path: page, agent: false, timeout: limitMs });
  call.on('timeout', () => call.destroy(unavailable(`no answer within ${limitMs / 1000} s`)));
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) {
    text += chunk;
    if (text.length > MAX_BYTES) throw internal(`the page is longer than ${MAX_BYTES} bytes`);
  }
  return text;
}
