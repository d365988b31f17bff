import { status, type ServiceError } from '@grpc/grpc-js';
import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import {
  containerConfig,
  createContainer,
  FOREVER,
  podConfig,
  readLogText,
  runPod,
  startedContainer,
  untilExited,
} from './support/pods';

const PODS = 20;
const numbers = Array.from({ length: PODS }, (_, at) => at);

describe('twenty pods at once', () => {
  let test: TestDaemon;
  beforeEach(async () => (test = await TestDaemon.start()));
  afterEach(() => test.stop());

  it('run with two containers each, and are found again after a restart', async () => {
    const pods = await Promise.all(
      numbers.map(async (at) => {
        const labels = { at: String(at) };
        const pod = await runPod(test, podConfig(test, { labels }));
        const [main, short] = await Promise.all([
          startedContainer(test, pod, containerConfig('main', FOREVER, { labels })),
          startedContainer(test, pod, containerConfig('short', `echo ${at}; exit ${at}`, { labels })),
        ]);
        return { at, pod, main, short };
      }),
    );
    await Promise.all(pods.map(({ short }) => untilExited(test, short)));
    const check = async (): Promise<void> => {
      const { items } = await test.client.call('ListPodSandbox', {});
      expect(items.map(({ id }) => id).sort()).toEqual(pods.map(({ pod }) => pod).sort());
      const { containers } = await test.client.call('ListContainers', {});
      expect(containers).toHaveLength(2 * PODS);
      const ips = new Set<string>();
      for (const { at, pod, main, short } of pods) {
        const sandbox = (await test.client.call('PodSandboxStatus', { pod_sandbox_id: pod })).status!;
        expect(sandbox).toMatchObject({ state: PodSandboxState.SANDBOX_READY, labels: { at: String(at) } });
        ips.add(sandbox.network?.ip ?? '');
        const statusOf = async (container_id: string): Promise<unknown> =>
          (await test.client.call('ContainerStatus', { container_id })).status;
        expect(await statusOf(main)).toMatchObject({ state: ContainerState.CONTAINER_RUNNING });
        expect(await statusOf(short)).toMatchObject({
          state: ContainerState.CONTAINER_EXITED,
          exit_code: at,
          reason: at === 0 ? 'Completed' : 'Error',
        });
      }
      expect(ips.size).toBe(PODS);
    };
    await check();
    await test.restart();
    await check();
    const { containers } = await test.client.call('ListContainers', {
      filter: { label_selector: { at: '7' } },
    });
    const { short } = pods[7]!;
    expect(containers.map(({ id }) => id)).toContain(short);
    const { status: seven } = await test.client.call('ContainerStatus', { container_id: short });
    expect(await readLogText(seven!.log_path)).toBe('7\n');
  });

  it('survive a restart in the middle of their creation, and a retry makes each of them once', async () => {
    const configs = numbers.map(() => podConfig(test));
    let sandboxes = 0;
    let reachMiddle!: () => void;
    const middle = new Promise<void>((resolve) => (reachMiddle = resolve));
    const run = async (config: (typeof configs)[number]): Promise<string> => {
      const pod = await runPod(test, config);
      // A daemon that stops finishes the calls in progress. Later calls for the other pods find no daemon.
      if (++sandboxes === PODS / 4) reachMiddle();
      const id = await createContainer(test, pod, containerConfig('main', FOREVER));
      await test.client.call('StartContainer', { container_id: id });
      return id;
    };
    const first = numbers.map(() => undefined as unknown);
    const attempts = configs.map(async (config, at) => {
      try {
        await run(config);
      } catch (error) {
        first[at] = error;
      }
    });
    await middle;
    await test.restart();
    await Promise.all(attempts);
    const failed = configs.filter((_, at) => first[at] !== undefined);
    expect(failed.length).toBeGreaterThan(0);
    for (const error of first.filter((one) => one !== undefined) as Partial<ServiceError>[]) {
      // An error without a code comes from our own client, which was closed with the daemon.
      if (error.code === undefined) expect(error.message).toMatch(/clos|shut ?down/i);
      else expect([status.UNAVAILABLE, status.CANCELLED]).toContain(error.code);
    }

    // kubelet does the same: it makes the same pod again, and the container that it does not see running.
    await Promise.all(
      failed.map(async (config) => {
        const pod = await runPod(test, config);
        const filter = { pod_sandbox_id: pod, state: { state: ContainerState.CONTAINER_RUNNING } };
        const { containers } = await test.client.call('ListContainers', { filter });
        if (containers.length > 0) return;
        const container_id = await createContainer(test, pod, containerConfig('main', FOREVER));
        await test.client.call('StartContainer', { container_id });
      }),
    );
    const { items } = await test.client.call('ListPodSandbox', {});
    expect(items.map(({ state, metadata }) => ({ state, uid: metadata?.uid })).sort(byUid)).toEqual(
      configs
        .map(({ metadata }) => ({ state: PodSandboxState.SANDBOX_READY, uid: metadata?.uid ?? '' }))
        .sort(byUid),
    );
    const { containers } = await test.client.call('ListContainers', {});
    expect(containers.map(({ state }) => state)).toEqual(numbers.map(() => ContainerState.CONTAINER_RUNNING));
    const onEngine = (await engineGet(sharedDockerHost(), '/containers/json?all=1')) as unknown[];
    expect(onEngine).toHaveLength(2 * PODS);
  });
});

function byUid(one: { uid?: string | undefined }, other: { uid?: string | undefined }): number {
  return (one.uid ?? '').localeCompare(other.uid ?? '');
}
