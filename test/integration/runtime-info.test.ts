import { CgroupDriver } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';

describe('dockbridge as a runtime', () => {
  let test: TestDaemon;
  beforeAll(async () => {
    test = await TestDaemon.start();
    // Status answers even before the images are listed.
    await test.synced();
  });
  afterAll(() => test.stop());

  it('answers Version with the version of the Engine', async () => {
    const engine = (await engineGet(sharedDockerHost(), '/version')) as { Version: string };
    expect(await test.client.call('Version', {})).toMatchObject({
      version: '0.1.0',
      runtime_name: 'docker',
      runtime_version: engine.Version,
      runtime_api_version: 'v1',
    });
  });

  it('is ready, claims no missing feature and names all runtimes of the Engine', async () => {
    const { Runtimes } = (await engineGet(sharedDockerHost(), '/info')) as { Runtimes: object };
    const reply = await test.client.call('Status', {});
    expect(reply.status?.conditions).toMatchObject([
      { type: 'RuntimeReady', status: true, reason: '', message: '' },
      { type: 'NetworkReady', status: true, reason: '', message: '' },
    ]);
    expect(reply.runtime_handlers.map(({ name }) => name)).toEqual(['', ...Object.keys(Runtimes).sort()]);
    // container-mounts.test.ts checks whether recursive_read_only_mounts is right for each.
    for (const { features } of reply.runtime_handlers)
      expect(features).toMatchObject({ user_namespaces: false });
    expect(reply.features).toMatchObject({ supplemental_groups_policy: true });
    expect(reply.info).toEqual({});
  });

  it('adds JSON to a verbose Status', async () => {
    const { info } = await test.client.call('Status', { verbose: true });
    expect(JSON.parse(info.engine ?? '')).toMatchObject({ engineVersion: expect.any(String) as string });
    expect(JSON.parse(info.config ?? '')).toMatchObject({ sandboxImage: 'dockbridge.local/pause:1' });
    expect(JSON.parse(info.dockbridge ?? '')).toMatchObject({ sandboxes: 0, containers: 0 });
  });

  it("returns the Engine's cgroup driver, which has no default", async () => {
    const { CgroupDriver: driver } = (await engineGet(sharedDockerHost(), '/info')) as {
      CgroupDriver: string;
    };
    const { linux } = await test.client.call('RuntimeConfig', {});
    expect(linux).not.toBeNull();
    expect(linux?.cgroup_driver).toBe(driver === 'systemd' ? CgroupDriver.SYSTEMD : CgroupDriver.CGROUPFS);
  });

  it('accepts the pod CIDR, keeps it when none is given, and refuses an invalid one', async () => {
    const podCidr = async (): Promise<unknown> => {
      const { info } = await test.client.call('Status', { verbose: true });
      return (JSON.parse(info.config ?? '') as { podCidr: string }).podCidr;
    };
    const update = (pod_cidr: string): Promise<unknown> =>
      test.client.call('UpdateRuntimeConfig', { runtime_config: { network_config: { pod_cidr } } });
    await update('10.244.3.0/24,fd00::/64');
    expect(await podCidr()).toBe('10.244.3.0/24,fd00::/64');
    await test.client.call('UpdateRuntimeConfig', {});
    await expectFailure(update('10.244.3.0'), 'INVALID_ARGUMENT', /pod_cidr/);
    expect(await podCidr()).toBe('10.244.3.0/24,fd00::/64');
  });
});
