import type { cri } from '../../src/proto';
import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
  untilExited,
} from './support/pods';

const { SANDBOX_READY, SANDBOX_NOTREADY } = PodSandboxState;
const { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED } = ContainerState;

describe('filters of lists', () => {
  let test: TestDaemon;
  /** Two ready pods and one stopped pod. */
  let web: string;
  let job: string;
  let gone: string;
  let created: string;
  let running: string;
  let exited: string;
  let other: string;

  beforeAll(async () => {
    test = await TestDaemon.start();
    [web, job, gone] = await Promise.all([
      runPod(test, podConfig(test, { labels: { app: 'web', tier: 'a' } })),
      runPod(test, podConfig(test, { labels: { app: 'job', tier: 'a' } })),
      runPod(test, podConfig(test, { labels: { app: 'web', tier: 'b' } })),
    ]);
    [created, running, exited, other] = await Promise.all([
      createContainer(test, web, containerConfig('created', FOREVER, { labels: { c: '1', d: '' } })),
      startedContainer(test, web, containerConfig('running', FOREVER, { labels: { c: '1' } })),
      startedContainer(test, web, containerConfig('exited', 'exit 3', { labels: { c: '2' } })),
      startedContainer(test, job, containerConfig('running', FOREVER, { labels: { c: '1' } })),
    ]);
    await untilExited(test, exited);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: gone });
  });
  afterAll(() => test.stop());

  const pods = async (filter?: cri.IPodSandboxFilter): Promise<string[]> =>
    (await test.client.call('ListPodSandbox', filter === undefined ? {} : { filter })).items
      .map(({ id }) => id)
      .sort();
  const containers = async (filter?: cri.IContainerFilter): Promise<string[]> =>
    (await test.client.call('ListContainers', filter === undefined ? {} : { filter })).containers
      .map(({ id }) => id)
      .sort();

  describe('of pod sandboxes', () => {
    it('may be missing or empty, which returns all sandboxes', async () => {
      const all = [web, job, gone].sort();
      expect(await pods()).toEqual(all);
      expect(await pods({})).toEqual(all);
      expect(await pods({ id: '', label_selector: {} })).toEqual(all);
    });

    it('select by id and id prefix', async () => {
      expect(await pods({ id: web })).toEqual([web]);
      expect(await pods({ id: web.slice(0, 20) })).toEqual([web]);
      expect(await pods({ id: 'f'.repeat(64) })).toEqual([]);
    });

    it('select by state, where 0 is READY', async () => {
      expect(await pods({ state: { state: SANDBOX_READY } })).toEqual([web, job].sort());
      expect(await pods({ state: {} })).toEqual([web, job].sort());
      expect(await pods({ state: { state: SANDBOX_NOTREADY } })).toEqual([gone]);
      await expectFailure(pods({ state: { state: 7 as PodSandboxState } }), 'INVALID_ARGUMENT', /state/);
    });

    it('select by labels, all of which must match', async () => {
      expect(await pods({ label_selector: { app: 'web' } })).toEqual([web, gone].sort());
      expect(await pods({ label_selector: { app: 'web', tier: 'b' } })).toEqual([gone]);
      expect(await pods({ label_selector: { app: 'web', tier: 'c' } })).toEqual([]);
      expect(await pods({ label_selector: { absent: '' } })).toEqual([]);
    });

    it('must all match together', async () => {
      const label_selector = { app: 'web' };
      expect(await pods({ state: { state: SANDBOX_READY }, label_selector })).toEqual([web]);
      expect(await pods({ id: job, label_selector })).toEqual([]);
    });
  });

  describe('of containers', () => {
    it('may be missing or empty, which returns containers in all states and no sandboxes', async () => {
      const all = [created, running, exited, other].sort();
      expect(await containers()).toEqual(all);
      expect(await containers({})).toEqual(all);
    });

    it('select by id and id prefix', async () => {
      expect(await containers({ id: exited })).toEqual([exited]);
      expect(await containers({ id: exited.slice(0, 20) })).toEqual([exited]);
      expect(await containers({ id: web })).toEqual([]);
    });

    it('select by state, where 0 is CREATED', async () => {
      expect(await containers({ state: { state: CONTAINER_CREATED } })).toEqual([created]);
      expect(await containers({ state: {} })).toEqual([created]);
      expect(await containers({ state: { state: CONTAINER_RUNNING } })).toEqual([running, other].sort());
      expect(await containers({ state: { state: CONTAINER_EXITED } })).toEqual([exited]);
      expect(await containers({ state: { state: ContainerState.CONTAINER_UNKNOWN } })).toEqual([]);
      await expectFailure(containers({ state: { state: 7 as ContainerState } }), 'INVALID_ARGUMENT', /state/);
    });

    it('select by sandbox, by its full id or a prefix', async () => {
      expect(await containers({ pod_sandbox_id: web })).toEqual([created, running, exited].sort());
      expect(await containers({ pod_sandbox_id: job.slice(0, 20) })).toEqual([other]);
      expect(await containers({ pod_sandbox_id: gone })).toEqual([]);
    });

    it('select by labels and by all fields together', async () => {
      expect(await containers({ label_selector: { c: '1' } })).toEqual([created, running, other].sort());
      expect(await containers({ label_selector: { c: '1', d: '' } })).toEqual([created]);
      expect(
        await containers({
          pod_sandbox_id: web,
          state: { state: CONTAINER_RUNNING },
          label_selector: { c: '1' },
        }),
      ).toEqual([running]);
      expect(await containers({ pod_sandbox_id: web, label_selector: { c: '3' } })).toEqual([]);
    });

    it('leave every field that kubelet reads in the listed containers', async () => {
      const { containers: found } = await test.client.call('ListContainers', { filter: { id: exited } });
      expect(found[0]).toMatchObject({
        id: exited,
        pod_sandbox_id: web,
        metadata: { name: 'exited', attempt: 0 },
        image: { image: 'dockbridge.test/busybox:1' },
        state: CONTAINER_EXITED,
        labels: { c: '2' },
        image_id: expect.stringMatching(/^sha256:/) as string,
        image_ref: expect.stringMatching(/./) as string,
      });
      expect(found[0]!.created_at.greaterThan(0)).toBe(true);
    });
  });
});
