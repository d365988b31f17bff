import { ContainerState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost } from './support/engine';
import { EngineProxy, onCalls } from './support/engine-proxy';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
  untilExited,
} from './support/pods';

const PODS = 2;
/** With these limits, no call is refused or times out because the machine is busy. */
const PATIENT = { linkTimes: { writePatience: 120_000, factsPatience: 120_000 }, inspectMs: 600_000 };

interface Pod {
  readonly id: string;
  readonly running: readonly string[];
  /** One exited container, and one created container. */
  readonly others: readonly string[];
}

describe('after a restart, the first lists', () => {
  let test: TestDaemon;
  let proxy: EngineProxy;
  let pods: readonly Pod[];

  beforeEach(async () => {
    proxy = await EngineProxy.start(sharedDockerHost());
    test = await TestDaemon.start({ ...PATIENT, dockerHost: proxy.dockerHost });
    pods = await Promise.all(Array.from({ length: PODS }, makePod));
  });
  afterEach(async () => {
    proxy.heal();
    await test.stop();
    await proxy.stop();
  });

  async function makePod(): Promise<Pod> {
    const id = await runPod(test, podConfig(test, { labels: { app: 'web' }, annotations: { 'a/b': 'c' } }));
    const more = { labels: { tier: 'front' }, annotations: { 'd/e': 'f' } };
    const running = [
      await startedContainer(test, id, containerConfig('one', FOREVER, more)),
      await startedContainer(test, id, containerConfig('two', FOREVER, more)),
    ];
    const exited = await startedContainer(
      test,
      id,
      containerConfig('short', 'echo last words; exit 3', more),
    );
    await untilExited(test, exited);
    return {
      id,
      running,
      others: [exited, await createContainer(test, id, containerConfig('new', FOREVER))],
    };
  }

  const containers = async () =>
    (await test.client.call('ListContainers', {})).containers.sort((a, b) => a.id.localeCompare(b.id));
  const sandboxes = async () =>
    (await test.client.call('ListPodSandbox', {})).items.sort((a, b) => a.id.localeCompare(b.id));
  const statuses = (ids: readonly string[]) => Promise.all(ids.map((id) => containerStatus(test, id)));
  const inspectOf = (ids: readonly string[]): RegExp =>
    new RegExp(`^GET /containers/(${ids.join('|')})/json$`);

  it('are complete and the same as before while the inspects of running containers hang', async () => {
    const running = pods.flatMap((pod) => pod.running);
    const others = pods.flatMap((pod) => pod.others);
    const before = {
      containers: await containers(),
      sandboxes: await sandboxes(),
      running: await statuses(running),
      others: await statuses(others),
      pod: await sandboxStatus(test, pods[0]!.id),
    };
    await test.relaunch(() => {
      proxy.obey(onCalls(inspectOf(running), { kind: 'hang', when: 'before' }));
      return Promise.resolve();
    });
    expect(await sandboxes()).toEqual(before.sandboxes);
    expect(await containers()).toEqual(before.containers);
    const filter = { state: { state: ContainerState.CONTAINER_RUNNING } };
    expect((await test.client.call('ListContainers', { filter })).containers).toHaveLength(running.length);
    // The running containers are not yet in the table from which other calls are answered.
    expect(running.filter((id) => test.daemon.store.containers.get(id) !== undefined)).toEqual([]);
    // The data of ended containers is complete.
    expect(await statuses(others)).toEqual(before.others);
    // A status waits for its own inspect, and for no other.
    const [asked = ''] = running;
    const status = containerStatus(test, asked);
    await proxy.until(({ hanging }) => hanging.some(({ path }) => path.includes(asked)));
    proxy.release(({ path }) => path.includes(asked));
    expect(await status).toEqual(before.running[0]);
    expect(proxy.hanging.length).toBe(running.length - 1);
    proxy.heal();
    expect(await sandboxStatus(test, pods[0]!.id)).toEqual(before.pod);
    await test.synced();
    expect(await statuses(running)).toEqual(before.running);
    expect(await containers()).toEqual(before.containers);
  });

  it('of pods wait for the inspects, because no list of the Engine says whether a pod has a network', async () => {
    const before = { containers: await containers(), sandboxes: await sandboxes() };
    const [hung] = pods.map(({ id }) => id);
    await test.relaunch(() => {
      proxy.obey(onCalls(inspectOf([hung ?? '']), { kind: 'hang', when: 'before' }));
      return Promise.resolve();
    });
    let listed = false;
    const waiting = sandboxes().finally(() => (listed = true));
    expect(await containers()).toEqual(before.containers);
    await proxy.until(({ hanging }) => hanging.length > 0);
    expect(listed).toBe(false);
    proxy.heal();
    expect(await waiting).toEqual(before.sandboxes);
  });

  it('show a container as EXITED that ends while the Engine is slow', async () => {
    const running = pods.flatMap((pod) => pod.running);
    await test.relaunch(() => {
      proxy.obey(onCalls(inspectOf(running), { kind: 'hang', when: 'before' }));
      return Promise.resolve();
    });
    await containers();
    const [ended = ''] = running;
    await proxy.until(({ hanging }) => hanging.length === running.length);
    const { listed } = test.daemon.store;
    const told = new Promise<void>((resolve) => {
      listed.subscribe(() => {
        if (listed.missing('container') > 0) resolve();
      });
    });
    await engineCall(sharedDockerHost(), 'POST', `/containers/${ended}/kill?signal=KILL`);
    await told;
    proxy.heal();
    expect((await containers()).find(({ id }) => id === ended)?.state).toBe(ContainerState.CONTAINER_EXITED);
  });
});
