import http from 'node:http';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import { invalidArgument } from '../lib/errors';

/**
 * Makes a dockerode for `endpoint`: `unix:///path`, `tcp://host:port`, or '' for the DOCKER_HOST, DOCKER_TLS_VERIFY and
 * DOCKER_CERT_PATH environment (the way to TLS, as with cri-dockerd).
 * @param maxIdle how many connections are kept for the next call; undefined for no pool.
 */
export function connectDocker(endpoint: string, maxIdle: number | undefined): Docker {
  if (endpoint === '') return new Docker();
  const target = parse(endpoint);
  // docker-modem passes its options to util.inspect at each request, which would walk through the agent.
  const agent =
    maxIdle === undefined ? undefined : hidden(new http.Agent({ keepAlive: true, maxFreeSockets: maxIdle }));
  const common = { protocol: 'http' as const, ...(agent === undefined ? {} : { agent }) };
  // `host: ''` keeps docker-modem from taking DOCKER_HOST instead of our path.
  return new Docker({ ...common, host: '', ...target });
}

/** Whether `endpoint` is on this machine, so that its pids, cgroups and log files can be read here. */
export function isLocalEndpoint(endpoint: string): boolean {
  const { DOCKER_HOST: host = '' } = process.env;
  const meant = endpoint === '' ? host : endpoint;
  // An empty DOCKER_HOST counts as none, as with dockerode.
  return meant === '' || meant.startsWith('unix:');
}

type Endpoint = { readonly socketPath: string } | { readonly host: string; readonly port: string };

function parse(endpoint: string): Endpoint {
  // URL would escape spaces and cut the path at `#`.
  if (endpoint.startsWith('unix:///')) return { socketPath: endpoint.slice('unix://'.length) };
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol === 'tcp:' && url.hostname !== '' && url.port !== '')
    return { host: url.hostname, port: url.port };
  throw invalidArgument(
    '--docker-endpoint',
    `"${endpoint}" is neither unix:///path/to/docker.sock nor tcp://host:port (for TLS set it to '' and use DOCKER_HOST)`,
  );
}

function hidden<T extends http.Agent>(agent: T): T {
  Object.defineProperty(agent, inspect.custom, { value: () => '[Agent]', enumerable: false });
  return agent;
}
