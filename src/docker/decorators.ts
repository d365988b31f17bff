import { failedPrecondition } from '../lib/errors';
import type { DockerClient } from './client';

/** A finished call to the Engine. `seconds` is wall time; for a stream, it ends when the stream is open. */
export interface EngineCall {
  readonly operation: keyof DockerClient;
  readonly seconds: number;
  readonly error: unknown;
}

export type EngineCallObserver = (call: EngineCall) => void;

/**
 * Wraps a client so that each call is reported. Tests count the calls, and metrics measure their time.
 * @param onBegin called before the call is made.
 */
export function instrument(
  client: DockerClient,
  observe: EngineCallObserver,
  onBegin: (operation: keyof DockerClient) => void = () => undefined,
): DockerClient {
  return new Proxy(client, {
    get(target, property): unknown {
      const method: unknown = Reflect.get(target, property, target);
      if (typeof method !== 'function') return method;
      const operation = property as keyof DockerClient;
      return (...args: unknown[]) => {
        onBegin(operation);
        return observed(operation, () => Reflect.apply(method, target, args) as Promise<unknown>, observe);
      };
    },
  });
}

async function observed(
  operation: keyof DockerClient,
  call: () => Promise<unknown>,
  observe: EngineCallObserver,
): Promise<unknown> {
  const start = process.hrtime.bigint();
  const report = (error: unknown): void =>
    observe({ operation, error, seconds: Number(process.hrtime.bigint() - start) / 1e9 });
  try {
    const result = await call();
    report(undefined);
    return result;
  } catch (error) {
    report(error);
    throw error;
  }
}

/**
 * Whether a call only reads, as a GET of the Engine's API does. The type makes the compiler demand an entry for every
 * call.
 */
const ASKS: Readonly<Record<keyof DockerClient, boolean>> = {
  ping: true,
  version: true,
  info: true,
  events: true,
  listContainers: true,
  inspectContainer: true,
  containerStats: true,
  containerSize: true,
  readFile: true,
  listNetworks: true,
  listImages: true,
  inspectImage: true,
  diskUsage: true,
  inspectExec: true,
  // This is also a GET, but it makes the Engine send a request to a registry.
  inspectManifest: false,
  createContainer: false,
  startContainer: false,
  stopContainer: false,
  killContainer: false,
  updateContainer: false,
  checkpointContainer: false,
  removeContainer: false,
  attachContainer: false,
  resizeContainer: false,
  pullImage: false,
  importImage: false,
  removeImage: false,
  createExec: false,
  startExec: false,
  resizeExec: false,
};

/**
 * Wraps a client so that it only reads. All other calls reject with FAILED_PRECONDITION before a byte is sent.
 * @param why the end of the error message, which names what forbids the call.
 */
export function readOnly(client: DockerClient, why: string): DockerClient {
  return new Proxy(client, {
    get(target, property): unknown {
      const method: unknown = Reflect.get(target, property, target);
      if (typeof method !== 'function') return method;
      const operation = property as keyof DockerClient;
      // Calls that the table lacks are also refused.
      if (ASKS[operation]) return method.bind(target) as unknown;
      return () => Promise.reject(failedPrecondition(`the Engine call ${operation} is not allowed: ${why}`));
    },
  });
}
