import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { cri } from '../../src/proto';
import { featuresFor } from '../../src/translate/shared/engine-facts';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { standingIn, type StandIns } from './support/stand-in';
import {
  containerStatus,
  createContainer,
  exec,
  FOREVER,
  freshConfig,
  output,
  runPod,
  startedContainer,
  startPodTest,
} from './support/pods';

const run = promisify(execFile);

describe('mounts that not every Engine supports', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  const config = (mounts: cri.IMount[]): cri.IContainerConfig => freshConfig(FOREVER, { mounts });
  const created = (...mounts: cri.IMount[]): Promise<string> => createContainer(test, pod, config(mounts));
  const started = (...mounts: cri.IMount[]): Promise<string> => startedContainer(test, pod, config(mounts));
  const expectRefused = async (
    mounts: cri.IMount[],
    code: 'INVALID_ARGUMENT' | 'UNIMPLEMENTED',
    why: RegExp,
  ) => {
    const refused = config(mounts);
    await expectFailure(createContainer(test, pod, refused), code, why);
    const filters = encodeURIComponent(JSON.stringify({ name: [`k8s_${refused.metadata!.name!}_`] }));
    expect(await engineGet(sharedDockerHost(), `/containers/json?all=1&filters=${filters}`)).toEqual([]);
  };
  const features = () => featuresFor(test.daemon.store.engine, '');

  describe('that are read-only', () => {
    let source: string;
    beforeAll(async () => {
      source = join(test.directory, 'tree');
      await mkdir(join(source, 'below'), { recursive: true });
      await run('mount', ['-t', 'tmpfs', 'dockbridge-test', join(source, 'below')]);
    });
    afterAll(() => run('umount', [join(source, 'below')]));

    it('leave the mounts below them writable', async () => {
      const id = await started({ container_path: '/m', host_path: source, readonly: true });
      expect((await exec(test, id, 'touch /m/new')).stderr).toMatch(/Read-only/);
      await output(test, id, 'touch /m/below/plain');
      expect(await readdir(join(source, 'below'))).toContain('plain');
      expect((await containerStatus(test, id)).mounts).toMatchObject([
        { readonly: true, recursive_read_only: false },
      ]);
    });

    it('protect the mounts below them too on request if Status offers this, and are refused otherwise', async () => {
      const mount = { container_path: '/m', host_path: source, readonly: true, recursive_read_only: true };
      const { runtime_handlers } = await test.client.call('Status', {});
      const offered = runtime_handlers.find(({ name }) => name === '')?.features?.recursive_read_only_mounts;
      // Engines from 25 on, with this machine's runc and kernel.
      expect(offered).toBe(Number(test.daemon.store.engine?.engineVersion.split('.')[0]) >= 25);
      if (offered !== true) {
        await expectFailure(
          created(mount),
          'UNIMPLEMENTED',
          /^RROUnsupported: config\.mounts\[0\]\.recursive_read_only: .*25\.0/,
        );
        return;
      }
      const id = await started(mount);
      for (const place of ['/m', '/m/below'])
        expect((await exec(test, id, `touch ${place}/recursive`)).stderr).toMatch(/Read-only/);
      expect((await containerStatus(test, id)).mounts).toMatchObject([
        { readonly: true, recursive_read_only: true, propagation: 0 },
      ]);
    });

    it('must obey the rules of CRI if they are recursive', async () => {
      const mount = { container_path: '/m', host_path: source, recursive_read_only: true };
      await expectFailure(created(mount), 'INVALID_ARGUMENT', /recursive_read_only: needs readonly/);
      await expectFailure(
        created({ ...mount, readonly: true, propagation: 1 }),
        'INVALID_ARGUMENT',
        /recursive_read_only: needs propagation/,
      );
    });
  });

  describe('of images', () => {
    const ofImage = (image: string, container_path: string, image_sub_path = ''): cri.IMount => ({
      container_path,
      image: { image, user_specified_image: 'as/written:1', annotations: { note: 'kept' } },
      image_sub_path,
      readonly: true,
    });

    it('are present, read-only, executable, and reported with the mounted image, if the Engine supports them', async () => {
      const mounts = [
        ofImage(USER_IMAGE, '/whole'),
        ofImage(USER_IMAGE, '/web', 'www'),
        ofImage(USER_IMAGE, '/one', 'marker'),
      ];
      if (!features().imageMounts) {
        await expectFailure(
          created(...mounts),
          'UNIMPLEMENTED',
          /^ImageVolumeMountFailed: config\.mounts\[0\]\.image: needs Docker Engine 28\.0/,
        );
        return;
      }
      const id = await started(...mounts);
      expect(await output(test, id, 'cat /whole/marker /web/index.html /one')).toBe('user\nok\nuser');
      expect(await output(test, id, '/whole/bin/echo runs')).toBe('runs');
      for (const place of ['/whole/new', '/web/new'])
        expect((await exec(test, id, `touch ${place}`)).stderr).toMatch(/Read-only/);
      const { image } = await test.client.call('ImageStatus', { image: { image: USER_IMAGE } });
      const check = async (): Promise<void> =>
        expect((await containerStatus(test, id)).mounts).toMatchObject(
          mounts.map((mount) => ({
            ...mount,
            host_path: '',
            image: { ...mount.image, image_ref: image?.id },
          })),
        );
      await check();
      await test.restart();
      await check();
    });

    it('must be on the node', async () => {
      const failure = created(ofImage('dockbridge.test/absent:1', '/i'));
      if (features().imageMounts)
        await expectFailure(
          failure,
          'NOT_FOUND',
          /^ImageVolumeMountFailed: config\.mounts\[0\]\.image.*pull/,
        );
      else await expectFailure(failure, 'UNIMPLEMENTED', /^ImageVolumeMountFailed/);
    });

    it('must obey the rules of CRI', async () => {
      const refused = (mount: cri.IMount, field: RegExp): Promise<void> =>
        expectFailure(created(mount), 'INVALID_ARGUMENT', field);
      await refused({ ...ofImage(TEST_IMAGE, '/i'), readonly: false }, /mounts\[0\]\.readonly/);
      await refused({ ...ofImage(TEST_IMAGE, '/i'), host_path: '/etc' }, /mounts\[0\]\.host_path/);
      await refused(ofImage(TEST_IMAGE, '/i', '../etc'), /mounts\[0\]\.image_sub_path/);
    });

    it('are refused if the image lacks a sub-path, and then leave no container behind', async () => {
      const mounts = [ofImage(TEST_IMAGE, '/i', 'www'), ofImage(TEST_IMAGE, '/j', 'absent')];
      if (features().imageMounts)
        await expectRefused(
          mounts,
          'INVALID_ARGUMENT',
          /^ImageVolumeMountFailed: config\.mounts\[0\].* or config\.mounts\[1\]\.image_sub_path: .*"absent" is not/,
        );
      else await expectRefused(mounts, 'UNIMPLEMENTED', /^ImageVolumeMountFailed/);
    });
  });

  // This test is last, because the end of a daemon removes all pods of the Engine.
  describe('with relabelling', () => {
    const relabelled = (host_path: string, more: cri.IMount = {}): cri.IMount => ({
      ...more,
      ...{ host_path, selinux_relabel: true },
    });
    let selinux: TestDaemon;
    let source: string;
    beforeAll(async () => {
      source = join(test.directory, 'relabelled');
      await mkdir(source);
      await run('mount', ['-t', 'tmpfs', 'dockbridge-test', source]);
      await run('mount', ['--make-shared', source]);
      const standIns: StandIns = {};
      // No test machine enforces SELinux. An Engine without it accepts the same binds, and leaves the
      // labels alone.
      selinux = await TestDaemon.start({
        wrapDocker: (client) => {
          standIns.info = async (options) => ({
            ...(await client.info(options)),
            SecurityOptions: ['name=selinux'],
          });
          return standingIn(standIns)(client);
        },
      });
      await selinux.synced();
    });
    afterAll(async () => {
      await selinux.stop();
      await run('umount', [source]);
    });

    it('work like any other mounts, on a node with SELinux and on one without', async () => {
      for (const daemon of [selinux, test]) {
        const mounts = [
          relabelled(source, { container_path: '/rw' }),
          relabelled(source, { container_path: '/ro', readonly: true }),
          relabelled(source, { container_path: '/slave', propagation: 1 }),
          { container_path: '/plain', host_path: source },
        ];
        const id = await startedContainer(daemon, await runPod(daemon), config(mounts));
        expect((await exec(daemon, id, 'touch /ro/new')).stderr).toMatch(/Read-only/);
        const name = daemon === selinux ? 'with' : 'without';
        await output(daemon, id, `touch /rw/${name}`);
        expect(await output(daemon, id, 'ls /ro /plain /slave')).toMatch(new RegExp(`(${name}[^]*){3}`));
        const propagation =
          'awk \'$5 == "/slave" { for (i = 7; $i != "-"; i++) print $i }\' /proc/self/mountinfo';
        expect(await output(daemon, id, propagation)).toMatch(/^master:\d+$/);
        expect((await containerStatus(daemon, id)).mounts).toMatchObject(mounts);
      }
    });

    it('may have no colon in their path if the Engine relabels', async () => {
      const odd = { container_path: '/a:b', host_path: source, selinux_relabel: true };
      await expectFailure(
        createContainer(selinux, await runPod(selinux), config([odd])),
        'INVALID_ARGUMENT',
        /^config\.mounts\[0\]\.selinux_relabel/,
      );
      const id = await started(odd);
      expect((await exec(test, id, 'ls -d /a:b')).stdout).toBe('/a:b\n');
    });
  });
});
