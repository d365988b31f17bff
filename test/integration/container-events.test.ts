import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import type { WritableStore } from '../../src/store/store';
import { StalledClient } from '../fakes/stalled-client';
import { containerRecord } from '../unit/support/records';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost, startPrivateEngine } from './support/engine';
import { EventWatch, typeName } from './support/event-watch';
import {
  containerConfig,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
  untilExited,
} from './support/pods';

const PODS = 200;
const CHURN_MS = 600_000;
const WHOLE_LIFE = ['created', 'started', 'stopped', 'deleted'];

describe('GetContainerEvents', () => {
  let test: TestDaemon;
  let watch: EventWatch;
  beforeEach(async () => {
    test = await TestDaemon.start();
    watch = await EventWatch.open(test.client);
  });
  afterEach(() => test.stop());

  it('reports the life of a pod and its container, each time with the status of the whole pod', async () => {
    const config = podConfig(test, { labels: { app: 'shop' } });
    const pod = await runPod(test, config);
    const main = await createContainer(test, pod, containerConfig('main', FOREVER));
    await test.client.call('StartContainer', { container_id: main });
    await test.client.call('StopContainer', { container_id: main, timeout: 5 });
    await test.client.call('RemoveContainer', { container_id: main });
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
    await watch.untilSaid(pod, 'deleted');
    const { SANDBOX_READY, SANDBOX_NOTREADY } = PodSandboxState;
    const { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED } = ContainerState;
    expect(
      watch.events.map((event) => ({
        what: `${event.container_id === pod ? 'pod' : 'main'} ${typeName(event)}`,
        pod: event.pod_sandbox_status?.state,
        containers: event.containers_statuses.map(({ id, state }) => [id === main, state]),
      })),
    ).toEqual([
      { what: 'pod created', pod: SANDBOX_READY, containers: [] },
      { what: 'pod started', pod: SANDBOX_READY, containers: [] },
      { what: 'main created', pod: SANDBOX_READY, containers: [[true, CONTAINER_CREATED]] },
      { what: 'main started', pod: SANDBOX_READY, containers: [[true, CONTAINER_RUNNING]] },
      { what: 'main stopped', pod: SANDBOX_READY, containers: [[true, CONTAINER_EXITED]] },
      { what: 'main deleted', pod: SANDBOX_READY, containers: [] },
      { what: 'pod stopped', pod: SANDBOX_NOTREADY, containers: [] },
      { what: 'pod deleted', pod: SANDBOX_NOTREADY, containers: [] },
    ]);
    for (const { pod_sandbox_status } of watch.events) {
      expect(pod_sandbox_status).toMatchObject({
        id: pod,
        metadata: config.metadata,
        labels: { app: 'shop' },
      });
    }
  });

  it('sends the same data as PodSandboxStatus, which has no timestamp because kubelet 1.37 would misread it', async () => {
    const pod = await runPod(test);
    const id = await startedContainer(test, pod, containerConfig('main', 'exit 3'));
    await watch.untilSaid(id, 'stopped');
    const reply = await test.client.call('PodSandboxStatus', { pod_sandbox_id: pod });
    const last = watch.events.at(-1)!;
    expect(reply.containers_statuses).toEqual(last.containers_statuses);
    expect(reply.status).toEqual(last.pod_sandbox_status);
    expect(last.containers_statuses).toMatchObject([
      { id, exit_code: 3, reason: 'Error', image_ref: expect.stringMatching(/./) as string },
    ]);
    expect(reply.timestamp.isZero()).toBe(true);
    const now = BigInt(Date.now()) * 1_000_000n;
    expect(now - BigInt(last.created_at.toString())).toBeLessThan(60_000_000_000n);
  });

  it('reports changes that others make, and a start that fails', async () => {
    const host = sharedDockerHost();
    const pod = await runPod(test);
    const main = await startedContainer(test, pod, containerConfig('main', FOREVER));
    await engineCall(host, 'POST', `/containers/${main}/stop?t=0`);
    await watch.untilSaid(main, 'stopped');
    await engineCall(host, 'POST', `/containers/${main}/start`);
    await watch.until(() => watch.of(main).filter((type) => type === 'started').length === 2, main);
    await engineCall(host, 'DELETE', `/containers/${main}?force=1`);
    await watch.untilSaid(main, 'deleted');
    expect(watch.of(main)).toEqual(['created', 'started', 'stopped', 'started', 'stopped', 'deleted']);

    const broken = await createContainer(
      test,
      pod,
      containerConfig('broken', '', { command: ['/does/not/exist'] }),
    );
    await expect(test.client.call('StartContainer', { container_id: broken })).rejects.toThrow();
    await watch.untilSaid(broken, 'stopped');
    expect(watch.of(broken)).toEqual(['created', 'stopped']);
    await test.client.call('RemoveContainer', { container_id: broken });
    await engineCall(host, 'DELETE', `/containers/${pod}?force=1`);
    await watch.untilSaid(pod, 'deleted');
    expect(watch.of(pod)).toEqual(WHOLE_LIFE);
  });

  it(
    'loses nothing while 200 pods come and go in parallel, even for a consumer that connects in the middle',
    async () => {
      let second: EventWatch | undefined;
      let running = 0;
      /** Changes that are requested after the second consumer has connected, so it must get their events. */
      const promised: [id: string, type: string][] = [];
      const promise = (id: string, ...types: string[]): void => {
        if (second !== undefined) promised.push(...types.map((type) => [id, type] as [string, string]));
      };
      const churn = async (): Promise<string[]> => {
        const pod = await runPod(test);
        const id = await createContainer(test, pod, containerConfig('main', 'exit 0'));
        promise(id, 'started', 'stopped');
        await test.client.call('StartContainer', { container_id: id }, CHURN_MS);
        if (++running === PODS / 2) second = await EventWatch.open(test.client);
        await untilExited(test, id);
        promise(pod, 'stopped');
        await test.client.call('StopPodSandbox', { pod_sandbox_id: pod }, CHURN_MS);
        promise(id, 'deleted');
        promise(pod, 'deleted');
        await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod }, CHURN_MS);
        return [pod, id];
      };
      const ids = (await Promise.all(Array.from({ length: PODS }, churn))).flat();
      await watch.until(() => watch.events.length >= WHOLE_LIFE.length * ids.length);
      expect(ids.map((id) => watch.of(id))).toEqual(ids.map(() => WHOLE_LIFE));
      expect(watch.events).toHaveLength(WHOLE_LIFE.length * ids.length);

      // The second consumer gets the same as the first in the same order, from its own first event on.
      const late = second!;
      const stamps = watch.events.map(({ created_at }) => created_at.toString());
      await late.until(() => late.events.at(-1)?.created_at.toString() === stamps.at(-1));
      const seen = late.events.map(({ created_at }) => created_at.toString());
      expect(seen).toEqual(stamps.slice(-seen.length));
      expect(promised.length).toBeGreaterThan(PODS);
      for (const [id, type] of promised) expect(late.of(id)).toContain(type);
      await late.close();
    },
    CHURN_MS,
  );

  it('disconnects only the consumer that does not keep up, and sends it a limited number of bytes', async () => {
    const path = '/runtime.v1.RuntimeService/GetContainerEvents';
    const stalled = await StalledClient.open(test.endpoint.replace('unix://', ''), path);
    // The records need no real containers.
    const { containers } = test.daemon.store as WritableStore;
    const records = Array.from({ length: 6_000 }, (_, at) =>
      containerRecord({
        id: `no-such-${at}`,
        engineName: `no-such-${at}`,
        sandboxId: `none-${at}`,
        annotations: { big: 'x'.repeat(1_000) },
      }),
    );
    let told = 0;
    const change = async (work: () => void): Promise<void> => {
      work();
      // Lets the other consumer read.
      if (++told % 1_000 === 0) await watch.until(() => watch.events.length >= told);
    };
    for (const record of records) await change(() => containers.put(record));
    for (const { id } of records) await change(() => containers.delete(id));
    const { bytes, status, message } = await stalled.drain();
    expect({ status, message }).toEqual({
      status: '8',
      message: expect.stringMatching(/has missed events/) as string,
    });
    // This is what the windows of HTTP/2 and of the socket hold, not thousands of events.
    expect(bytes).toBeLessThan(1_000_000);
    stalled.close();
    const pod = await runPod(test);
    await watch.untilSaid(pod, 'started');
    expect(watch.events.length).toBe(2 * records.length + 2);
  });

  it('ends with UNAVAILABLE when the daemon stops', async () => {
    await test.restart();
    expect(await watch.ended).toBe('UNAVAILABLE');
  });
});

it('GetContainerEvents reports after an outage of the Engine what happened meanwhile', async () => {
  const engine = await startPrivateEngine('events');
  const test = await TestDaemon.start({ dockerHost: engine.dockerHost });
  try {
    const pod = await runPod(test);
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    const watch = await EventWatch.open(test.client);
    await engine.kill9();
    await engine.start();
    await watch.untilSaid(id, 'stopped');
    await watch.untilSaid(pod, 'stopped');
    expect([watch.of(id), watch.of(pod)]).toEqual([['stopped'], ['stopped']]);
  } finally {
    await test.stop();
    await engine.destroy();
  }
});
