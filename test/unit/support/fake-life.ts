import type { DockerClient } from '../../../src/docker/client';
import { silentLogger } from '../../../src/lib/logger';
import { ContainerLife, type Held } from '../../../src/containers/life';
import type { Occasion } from '../../../src/containers/settle';
import type { WritableStore } from '../../../src/store/store';
import { FakeCheckpoints, FakeLogs, NETWORK } from '../sync/support/room';

/** Returns a real ContainerLife in which `refresh` takes the place of an inspect and of its record. */
export function lifeWith(
  store: WritableStore,
  docker: DockerClient,
  refresh: (id: string, occasion?: Occasion) => Promise<void> = () => Promise.resolve(),
): ContainerLife {
  const life = new ContainerLife({
    ...{ docker, store, logs: new FakeLogs(), network: NETWORK, checkpoints: new FakeCheckpoints() },
    ...{ logger: silentLogger, localEngine: false },
  });
  const withContainer = life.withContainer.bind(life);
  life.withContainer = (id, signal, work) =>
    withContainer(id, signal, (held) => {
      const faked: Partial<Held> = { refresh: (_signal, occasion) => refresh(id, occasion) };
      return work(Object.assign(Object.create(held) as Held, faked));
    });
  return life;
}
