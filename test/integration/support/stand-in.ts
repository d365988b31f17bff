import type { DockerClient } from '../../../src/docker/client';

export type StandIns = { [Name in keyof DockerClient]?: DockerClient[Name] | undefined };

/**
 * Returns a wrapper for `wrapDocker`. Its client calls the methods of `own` while they are set, and otherwise
 * those of the real client.
 */
export function standingIn(own: StandIns): (client: DockerClient) => DockerClient {
  return (client) =>
    new Proxy(client, {
      get(target, property): unknown {
        const mine: unknown = Reflect.get(own, property);
        if (mine !== undefined) return mine;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
}
