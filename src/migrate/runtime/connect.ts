import { invalidArgument } from '../../lib/errors';
import { CriClient } from '../../server/client/cri-client';

/**
 * Connects to a runtime. kubelets of older versions name a socket by its path alone.
 * @throws INVALID_ARGUMENT when the endpoint is not a unix socket.
 */
export function connect(endpoint: string): CriClient {
  const url = endpoint.startsWith('/') ? `unix://${endpoint}` : endpoint;
  if (!url.startsWith('unix:///'))
    throw invalidArgument('--endpoint', `"${endpoint}" is not unix:///path/to/a.sock`);
  return new CriClient(url);
}
