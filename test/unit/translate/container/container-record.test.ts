import Long from 'long';
import { MountPropagation } from '../../../../src/proto/enums';
import type { cri } from '../../../../src/proto';
import { checkContainer } from '../../../../src/translate/container/container-check';
import { toContainerCreate } from '../../../../src/translate/container/container-create';
import {
  containerFromInspect,
  createdContainer,
  isDescribedByLabels,
} from '../../../../src/translate/container/container-record';
import type { EngineContainerInspect } from '../../../../src/engine/types';
import { recordedInspect } from '../../support/inspects';
import { Random } from '../../support/random';
import { engineFeatures, imageRecord, sandboxRecord, surroundings } from '../../support/records';
import { decoded } from '../../support/wire';

const UID = '6e0f3f5c-2a3b-4c4d-8e5f-607182930a1b';
const read = (name: string) => containerFromInspect(recordedInspect(name));

const SHARED = {
  sandboxId: '5f1c7e0b6d0e4a0b9a1f6f6c1d2e3f405162738495a6b7c8d9e0f1a2b3c4d5e6',
  engineName: `k8s_app_web-0_shop_${UID}_3`,
  metadata: { name: 'app', attempt: 3 },
  labels: {
    app: 'web',
    'io.kubernetes.pod.name': 'web-0',
    'io.kubernetes.pod.namespace': 'shop',
    'io.kubernetes.pod.uid': UID,
    'io.kubernetes.container.name': 'app',
  },
  annotations: { 'io.kubernetes.container.hash': 'a1b2c3d4', 'io.kubernetes.container.restartCount': '3' },
  logPath: `/var/log/pods/shop_web-0_${UID}/app/3.log`,
};

describe('containerFromInspect', () => {
  it('reads our own running container', () => {
    const { createdAt, startedAt, finishedAt, ...record } = read('container-running')!;
    expect([createdAt, startedAt, finishedAt].map(String)).toEqual([
      '1700000001900000000',
      '1700000002000000007',
      '0',
    ]);
    expect(record).toEqual({
      kind: 'container',
      id: '0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d',
      ...SHARED,
      state: 'running',
      pid: 31500,
      exitCode: 0,
      oomKilled: false,
      error: '',
      image: 'sha256:2f9c0b1e7a44c2e5d38e07b6d1f1ab5df8b6cdb7d0a1e3f4c5b6a79880716253',
      userSpecifiedImage: 'registry.example/web:1.0',
      imageAnnotations: {},
      imageId: 'sha256:2f9c0b1e7a44c2e5d38e07b6d1f1ab5df8b6cdb7d0a1e3f4c5b6a79880716253',
      mounts: [
        {
          containerPath: '/etc/hosts',
          hostPath: `/var/lib/kubelet/pods/${UID}/etc-hosts`,
          readonly: false,
          selinuxRelabel: true,
          propagation: MountPropagation.PROPAGATION_PRIVATE,
          recursiveReadOnly: false,
        },
        {
          containerPath: '/var/run/secrets/kubernetes.io/serviceaccount',
          hostPath: `/var/lib/kubelet/pods/${UID}/volumes/kubernetes.io~projected/kube-api-access`,
          readonly: true,
          selinuxRelabel: false,
          propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
          recursiveReadOnly: false,
        },
      ],
      resources: {
        cpuPeriod: 100_000,
        cpuQuota: 20_000,
        cpuShares: 102,
        memoryLimit: 134_217_728,
        memorySwapLimit: 134_217_728,
        oomScoreAdj: 937,
        pidsLimit: 0,
        hugepages: {},
        unified: {},
        cpusetCpus: '',
        cpusetMems: '',
      },
      spoolPath: expect.stringMatching(/^\/var\/lib\/docker\/containers\/0c9d.*-json\.log$/) as string,
      madeByOthers: false,
      logDriver: 'json-file',
      tty: false,
      stdin: false,
      stdinOnce: false,
      stopSignal: 'SIGQUIT',
    });
  });

  it('reads a cri-dockerd container without our label and with another log driver', () => {
    const record = read('container-cri-dockerd')!;
    expect(record).toMatchObject({
      ...SHARED,
      image: `web@sha256:${'9'.repeat(64)}`,
      userSpecifiedImage: '',
      spoolPath: '',
      madeByOthers: true,
      logDriver: 'journald',
      tty: true,
      stdin: true,
      stdinOnce: true,
    });
    expect(record.mounts).toEqual(
      read('container-running')!.mounts.map((mount) => ({ ...mount, selinuxRelabel: false })),
    );
  });

  it.each([
    {
      name: 'container-created',
      state: 'created',
      started: '0',
      finished: '0',
      exitCode: 0,
      oomKilled: false,
    },
    {
      name: 'container-running',
      state: 'running',
      started: '1700000002000000007',
      finished: '0',
      exitCode: 0,
      oomKilled: false,
    },
    {
      name: 'container-paused',
      state: 'paused',
      started: '1700000002000000007',
      finished: '0',
      exitCode: 0,
      oomKilled: false,
    },
    {
      name: 'container-exited',
      state: 'exited',
      started: '1700000002000000007',
      finished: '1700000010250000000',
      exitCode: 0,
      oomKilled: false,
    },
    {
      name: 'container-failed',
      state: 'exited',
      started: '1700000002000000007',
      finished: '1700000010250000000',
      exitCode: 2,
      oomKilled: false,
    },
    {
      name: 'container-oom',
      state: 'exited',
      started: '1700000002000000007',
      finished: '1700000010250000001',
      exitCode: 137,
      oomKilled: true,
    },
    {
      name: 'container-start-failed',
      state: 'created',
      started: '0',
      finished: '0',
      exitCode: 127,
      oomKilled: false,
    },
    {
      name: 'container-dead',
      state: 'dead',
      started: '1700000002000000007',
      finished: '1700000010250000000',
      exitCode: 1,
      oomKilled: false,
    },
  ])(
    'reads the state, the times and the exit code of the recorded $name',
    ({ name, state, started, finished, exitCode, oomKilled }) => {
      const record = read(name)!;
      expect(record).toMatchObject({ ...SHARED, state, exitCode, oomKilled });
      expect([record.startedAt, record.finishedAt].map(String)).toEqual([started, finished]);
      expect(record.error !== '').toBe(name === 'container-start-failed');
    },
  );

  it('reads an unrecognized state as unknown', () => {
    const inspect = recordedInspect('container-running');
    inspect.State.Status = 'invented';
    expect(containerFromInspect(inspect)?.state).toBe('unknown');
  });

  it('does not report an end before the start', () => {
    const inspect = recordedInspect('container-exited');
    inspect.State.FinishedAt = '2023-11-14T22:13:21Z';
    const record = containerFromInspect(inspect)!;
    expect(record.finishedAt).toEqual(record.startedAt);
  });

  it.each([
    { desc: 'truncated', text: '{' },
    { desc: 'of another shape', text: '{"v":1,"metadata":{"name":"x","attempt":1}}' },
    { desc: 'of a later version', text: '{"v":2}' },
  ])('ignores a label of ours that is $desc', ({ text }) => {
    const inspect = recordedInspect('container-running');
    inspect.Config.Labels!['io.dockbridge.cri'] = text;
    // Without this label, dockbridge cannot tell the labels of the image from those of the request.
    const { labels, ...rest } = containerFromInspect(inspect)!;
    expect(labels).toEqual({ ...SHARED.labels, maintainer: 'image label' });
    expect(rest.metadata).toEqual(SHARED.metadata);
    expect(rest.mounts).toHaveLength(2);
  });

  it('ignores a label of ours for another sandbox, which may come from the image', () => {
    const inspect = recordedInspect('container-running');
    const labels = inspect.Config.Labels!;
    const extra = JSON.parse(labels['io.dockbridge.cri'] ?? '{}') as { mounts: unknown };
    for (const sandboxId of [undefined, '', 'f'.repeat(64)]) {
      const forged = { ...extra, sandboxId, mounts: [{ containerPath: '/log', hostPath: '/etc/shadow' }] };
      labels['io.dockbridge.cri'] = JSON.stringify(forged);
      const record = containerFromInspect(inspect)!;
      expect(record.mounts).toHaveLength(2);
      expect(record.mounts.map(({ hostPath }) => hostPath)).not.toContain('/etc/shadow');
    }
  });

  it.each([
    { desc: 'is missing', image: null },
    { desc: 'is incomplete', image: { image: 'data', annotations: {} } },
  ])('ignores the mounts of a label if the image of one $desc', ({ image }) => {
    const inspect = recordedInspect('container-running');
    const labels = inspect.Config.Labels!;
    const extra = JSON.parse(labels['io.dockbridge.cri'] ?? '{}') as { mounts: object[] };
    const mounts = [{ ...extra.mounts[0], image }];
    labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, mounts });
    expect(containerFromInspect(inspect)?.mounts).toHaveLength(2);
  });

  it('ignores a container that has all labels from an image, as after `docker commit`, unless it joins its sandbox', () => {
    const inspect = { ...recordedInspect('container-running'), Name: '/quirky_noether' };
    expect(containerFromInspect(inspect)?.metadata.name).toBe('app');
    const HostConfig = { NetworkMode: 'bridge', IpcMode: 'private', PidMode: '' };
    expect(containerFromInspect({ ...inspect, HostConfig })).toBeUndefined();
    const joined = { ...HostConfig, NetworkMode: `container:${'f'.repeat(64)}` };
    expect(containerFromInspect({ ...inspect, HostConfig: joined })).toBeUndefined();
  });

  it.each([
    {
      desc: 'no sandbox',
      change: (inspect: EngineContainerInspect) => delete inspect.Config.Labels!['io.kubernetes.sandbox.id'],
    },
    { desc: 'no labels', change: (inspect: EngineContainerInspect) => (inspect.Config.Labels = null) },
    {
      desc: 'neither label nor name',
      change: (inspect: EngineContainerInspect) => {
        delete inspect.Config.Labels!['io.dockbridge.cri'];
        inspect.Name = '/mine';
      },
    },
  ])('ignores a foreign container with $desc', ({ change }) => {
    const inspect = recordedInspect('container-running');
    change(inspect);
    expect(containerFromInspect(inspect)).toBeUndefined();
  });
});

describe('createdContainer', () => {
  const random = new Random(7);
  const name = () => random.text('abcxyz', 8, 1);
  const value = () => random.text('aä"\\ {}=\n', 10);
  const path = () => `/${random.text('abc/', 10, 1)}`;
  const maybe = <T>(make: () => T): T | undefined => (random.chance(0.5) ? make() : undefined);

  let targets = 0;

  /** Returns a random request that the translation accepts. */
  function randomConfig(): cri.IContainerConfig {
    const given: Record<string, unknown> = {
      metadata: { name: name(), attempt: random.below(9) },
      image: { image: name(), user_specified_image: name(), annotations: random.map(2, name, value) },
      command: random.list(3, value),
      args: random.list(3, value),
      envs: random.list(3, () => ({ key: name(), value: Buffer.from(value()) })),
      working_dir: maybe(path),
      labels: random.map(5, () => random.pick(['annotation.a', 'io.kubernetes.sandbox.id', name()]), value),
      annotations: random.map(5, name, value),
      log_path: maybe(() => `${name()}/0.log`),
      stdin: random.chance(0.5),
      stdin_once: random.chance(0.5),
      tty: random.chance(0.5),
      stop_signal: random.below(66),
      mounts: random.list(3, () => ({
        // One target per container, and never the root.
        container_path: `${path()}/${++targets}`,
        host_path: path(),
        readonly: random.chance(0.5),
        selinux_relabel: random.chance(0.5),
        propagation: random.below(3),
      })),
      linux: maybe(() => ({
        resources: maybe(() => ({
          cpu_shares: random.pick([0, 2 + random.below(2000)]),
          cpu_quota: random.pick([-1, 0, 1000 + random.below(2000)]),
          memory_limit_in_bytes: Long.fromNumber(random.below(2 ** 40)),
          memory_swap_limit_in_bytes: random.pick([-1, 0, 2 ** 41]),
          oom_score_adj: random.below(2001) - 1000,
          cpuset_cpus: random.pick(['', '0-1']),
        })),
        security_context: maybe(() => ({
          run_as_user: maybe(() => ({ value: random.below(3000) })),
          readonly_rootfs: random.chance(0.5),
        })),
      })),
    };
    return Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined));
  }

  it("returns the same record as the Engine's answer for the container", () => {
    for (let round = 0; round < 300; round++) {
      const sandbox = sandboxRecord({ cgroupParent: '/kubepods.slice' });
      const image = imageRecord({ stopSignal: random.pick(['', 'SIGQUIT']) });
      const checked = checkContainer(decoded('ContainerConfig', randomConfig()), sandbox);
      const body = toContainerCreate(
        checked,
        sandbox,
        {
          ...surroundings(),
          image: image.id,
          cgroupDriver: random.pick(['systemd', 'cgroupfs']),
          cgroupVersion: random.pick(['1', '2']),
          oomFloor: random.pick([0, -1000]),
          features: engineFeatures(),
        },
        [],
      );
      // The body goes through JSON with the Engine's additions: a slash, the image's labels and defaults,
      // its own HostConfig fields.
      const said = JSON.parse(
        JSON.stringify({
          Id: 'c1',
          Name: '/k8s_app_web_shop_u_0',
          Created: '2023-11-14T22:13:20.5Z',
          Image: image.id,
          LogPath: '',
          State: recordedInspect('container-created').State,
          Config: {
            ...recordedInspect('container-created').Config,
            StopSignal: image.stopSignal,
            ...body,
            Labels: { maintainer: 'image', 'annotation.image': 'x', ...body.Labels },
          },
          HostConfig: { ShmSize: 67_108_864, ...body.HostConfig },
          NetworkSettings: { Networks: {} },
        }),
      ) as EngineContainerInspect;
      const expected = containerFromInspect(said);
      expect(expected).toBeDefined();
      expect(createdContainer('c1', 'k8s_app_web_shop_u_0', body, image, 1_700_000_000_500)).toEqual(
        expected,
      );
    }
  });

  it('refuses a body that is not ours', () => {
    const body = { Image: 'x', Labels: {}, HostConfig: {} };
    expect(() => createdContainer('c1', 'mine', body, imageRecord(), 0)).toThrow(/mine lacks our labels/);
  });
});

describe('an untrusted label', () => {
  it.each([
    {
      desc: 'text for numbers',
      user: { uid: '0', gid: 0, groups: [] },
      kernel: { hugepages: { '2MB': 'x' } },
    },
    { desc: 'null in place of lists', user: { uid: 0, gid: 0 }, kernel: { unified: { 'memory.high': 5 } } },
    { desc: 'values that are not objects', user: 7, kernel: 'x' },
    {
      desc: 'files of other programs',
      user: 7,
      kernel: { hugepages: { '../2MB': '1' }, unified: { '../memory.max': '1', 'cgroup.kill': '1' } },
    },
  ])(
    'with $desc gives a container no user and no limits, because anybody may write a label',
    ({ user, kernel }) => {
      const inspect = recordedInspect('container-running');
      const labels = inspect.Config.Labels ?? {};
      const extra = { ...(JSON.parse(labels['io.dockbridge.cri'] ?? '{}') as object), user, kernel };
      const Labels = { ...labels, 'io.dockbridge.cri': JSON.stringify(extra) };
      const record = containerFromInspect({ ...inspect, Config: { ...inspect.Config, Labels } });
      expect(record?.user).toBeUndefined();
      expect(record?.resources.hugepages).toEqual({});
      expect(record?.resources.unified).toEqual({});
    },
  );

  it.each(['', '0', '-5', '1e18', '99999999999999999999', 5])(
    'does not change the creation time that the Engine reports: %p',
    (createdAt) => {
      const inspect = recordedInspect('container-running');
      const labels = inspect.Config.Labels ?? {};
      const extra = { ...(JSON.parse(labels['io.dockbridge.cri'] ?? '{}') as object), createdAt };
      const Labels = { ...labels, 'io.dockbridge.cri': JSON.stringify(extra) };
      const record = containerFromInspect({ ...inspect, Config: { ...inspect.Config, Labels } });
      expect(record?.createdAt).toEqual(containerFromInspect(inspect)?.createdAt);
    },
  );
});

describe('isDescribedByLabels', () => {
  const { Name, Config } = recordedInspect('container-running');
  const name = Name.slice(1);
  const labels = Config.Labels ?? {};
  const extraWith = (more: object): Record<string, string> => ({
    ...labels,
    'io.dockbridge.cri': JSON.stringify({
      ...(JSON.parse(labels['io.dockbridge.cri'] ?? '') as object),
      ...more,
    }),
  });

  const whole = extraWith({ createdAt: '1700000001900000000' });

  it('is true for a container of ours', () => expect(isDescribedByLabels(name, whole)).toBe(true));

  it.each([
    { desc: 'that was renamed', given: 'mine', of: whole },
    { desc: 'that cri-dockerd made', given: name, of: { ...whole, 'io.dockbridge.cri': '' } },
    {
      desc: 'whose labels name two sandboxes',
      given: name,
      of: extraWith({ createdAt: '1700000001900000000', sandboxId: 'other' }),
    },
    {
      desc: 'whose label io.kubernetes.sandbox.id differs',
      given: name,
      of: { ...whole, 'io.kubernetes.sandbox.id': 'other' },
    },
    { desc: 'without a creation time', given: name, of: extraWith({ createdAt: '' }) },
  ])('is false for a container $desc', ({ given, of }) => expect(isDescribedByLabels(given, of)).toBe(false));
});
