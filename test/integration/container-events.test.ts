import { ContainerState, PodSandboxState } from '../../src/proto/enums';
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

  it('tells the life of a pod and its container, each time with the status of the whole pod', async () => {
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

  it('says the same as PodSandboxStatus, which can be told older or newer', async () => {
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
    expect(reply.timestamp.greaterThan(last.created_at)).toBe(true);
    const now = BigInt(Date.now()) * 1_000_000n;
    expect(now - BigInt(last.created_at.toString())).toBeLessThan(60_000_000_000n);
  });

  it('tells what happens behind our back, and of a start that fails', async () => {
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
    await engineCall(host, 'DELETE', `/containers/${pod}?force=1`);
    await watch.untilSaid(pod, 'deleted');
    expect(watch.of(pod)).toEqual(WHOLE_LIFE);
  });

  it(
    'loses nothing while 200 pods come and go in parallel, also for a consumer that comes in the middle',
    async () => {
      let late: Promise<EventWatch> | undefined;
      let started = 0;
      /** Begun after the late consumer had connected. */
      const afterLate: string[] = [];
      let isLateThere = false;
      const churn = async (): Promise<string[]> => {
        const isAfter = isLateThere;
        const pod = await runPod(test);
        const id = await createContainer(test, pod, containerConfig('main', 'exit 0'));
        await test.client.call('StartContainer', { container_id: id }, CHURN_MS);
        if (++started === PODS / 4) {
          late = EventWatch.open(test.client);
          await late;
          isLateThere = true;
        }
        await untilExited(test, id);
        await test.client.call('StopPodSandbox', { pod_sandbox_id: pod }, CHURN_MS);
        await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod }, CHURN_MS);
        if (isAfter) afterLate.push(pod, id);
        return [pod, id];
      };
      const ids = (await Promise.all(Array.from({ length: PODS }, churn))).flat();
      if (late === undefined) throw new Error('there was no middle');
      const second = await late;
      const last = ids.at(-1) ?? '';
      await watch.until(() => ids.every((id) => watch.of(id).at(-1) === 'deleted'), last);
      expect(ids.map((id) => watch.of(id))).toEqual(ids.map(() => WHOLE_LIFE));
      expect(watch.events).toHaveLength(4 * 2 * PODS);

      // The second one has the first one's events from its first on, all of them and in the same order.
      const stamps = watch.events.map(({ created_at }) => created_at.toString());
      const from = stamps.indexOf(second.events[0]!.created_at.toString());
      await second.until(() => second.events.length >= stamps.length - from);
      expect(second.events.map(({ created_at }) => created_at.toString())).toEqual(stamps.slice(from));
      for (const id of afterLate) expect(second.of(id)).toEqual(WHOLE_LIFE);
      await second.close();
    },
    CHURN_MS,
  );

  it('ends a consumer that does not keep up, which costs a bounded number of bytes, and no other', async () => {
    const path = '/runtime.v1.RuntimeService/GetContainerEvents';
    const stalled = await StalledClient.open(test.endpoint.replace('unix://', ''), path);
    const { containers } = test.daemon.store;
    const records = Array.from({ length: 10_000 }, (_, at) =>
      containerRecord({
        id: `no-such-${at}`,
        engineName: `no-such-${at}`,
        annotations: { big: 'x'.repeat(1_000) },
      }),
    );
    for (const record of records) {
      containers.put(record);
      // The other one is given its turns.
      if (record.id.endsWith('000')) await watch.until(() => watch.of(record.id).length === 1);
    }
    for (const { id } of records) containers.delete(id);
    const { bytes, status, message } = await stalled.drain();
    expect({ status, message }).toEqual({
      status: '8',
      message: expect.stringMatching(/missed some/) as string,
    });
    // The windows of HTTP/2 and of the socket, not ten thousand events.
    expect(bytes).toBeLessThan(1_000_000);
    stalled.close();
    const pod = await runPod(test);
    await watch.untilSaid(pod, 'started');
  });

  it('ends with the daemon, at once', async () => {
    await test.restart();
    expect(await watch.ended).toBe('UNAVAILABLE');
  });
});

it('tells, after an outage of the Engine, what happened meanwhile', async () => {
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
