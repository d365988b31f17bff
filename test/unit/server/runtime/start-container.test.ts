import { unavailable } from '../../../../src/lib/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { startContainer } from '../../../../src/server/runtime/start-container';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { lifeWith } from '../../support/fake-life';
import { rejectionOf } from '../../support/errors';
import { containerRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

/** A container with limits that only dockbridge can write. The Engine answers its start with an error. */
function startCutOff(unified: Record<string, string>, runs: boolean) {
  const store = new WritableStore();
  const resources = { ...containerRecord().resources, unified };
  const created = containerRecord({ resources });
  store.sandboxes.put(sandboxRecord());
  store.containers.put(created);
  const killed: string[] = [];
  const docker = fakeDocker({
    startContainer: () => Promise.reject(unavailable('torn')),
    killContainer: (id) => Promise.resolve(void killed.push(id)),
  });
  const services: Partial<Services> = {
    ...{ store, logger: silentLogger, docker },
    life: lifeWith(store, docker, (_id, occasion) => {
      // This process's own cgroup contains no container id, so the limits cannot be written.
      if (runs && occasion === 'started')
        store.containers.put(runningContainer({ resources, pid: process.pid }));
      return Promise.resolve();
    }),
  };
  const request = decoded('StartContainerRequest', { container_id: created.id });
  const { signal } = new AbortController();
  return { id: created.id, killed, start: () => startContainer(services as Services, request, { signal }) };
}

describe('a start whose answer is lost', () => {
  it('leaves no container running without its limits', async () => {
    const { id, killed, start } = startCutOff({ 'memory.high': '4096' }, true);
    expect(await rejectionOf(start())).toMatch(/^FAILED_PRECONDITION cannot find the control group/);
    expect(killed).toEqual([id]);
  });

  it.each([
    { desc: 'that does not run', unified: { 'memory.high': '4096' }, runs: false },
    { desc: 'that may run without its limits', unified: { 'memory.oom.group': '1' }, runs: true },
    { desc: 'that has no limits', unified: {}, runs: true },
  ])('leaves a container $desc alone', async ({ unified, runs }) => {
    const { killed, start } = startCutOff(unified, runs);
    expect(await rejectionOf(start())).toBe('UNAVAILABLE torn');
    expect(killed).toEqual([]);
  });
});
