import type { DockerClient } from './client';

/** One finished Engine call. `seconds` is wall time; for streams until they are open. */
export interface EngineCall {
  readonly operation: keyof DockerClient;
  readonly seconds: number;
  readonly error: unknown;
}

export type EngineCallObserver = (call: EngineCall) => void;

/**
 * A client that reports each call: tests count them, metrics time them.
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
