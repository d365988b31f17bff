import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { cri } from '../../src/proto';
import { ContainerState, MountPropagation, Signal } from '../../src/proto/enums';
import type { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerStatus,
  createContainer,
  exec,
  FOREVER,
  freshConfig,
  logOf,
  output,
  startedContainer,
  startPodTest,
  stateOf,
  untilExited,
} from './support/pods';

const run = promisify(execFile);

describe('CreateContainer', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  /** Returns a running container with this configuration. */
  const started = (more: cri.IContainerConfig): Promise<string> =>
    startedContainer(test, pod, freshConfig(FOREVER, more));
  /** Returns the output of a container that runs to its end. */
  const printed = async (more: cri.IContainerConfig): Promise<string> =>
    (await logOf(test, pod, freshConfig('', more))).text;

  describe('with few settings', () => {
    it("runs the image's command if command, args and linux are missing", async () => {
      const id = await startedContainer(test, pod, {
        metadata: { name: 'bare' },
        image: { image: TEST_IMAGE },
      });
      await untilExited(test, id);
      // `sh` without standard input ends at once with success.
      const status = await containerStatus(test, id);
      expect(status).toMatchObject({ exit_code: 0, reason: 'Completed', log_path: '' });
      expect([status.labels, status.annotations, status.mounts]).toEqual([{}, {}, []]);
    });

    it("keeps the image's shell waiting when stdin is open", async () => {
      const id = await started({ command: [], stdin: true });
      // PID 1 is the pause process of the pod. The image's shell is another process.
      expect(await output(test, id, 'grep -lx sh /proc/[0-9]*/comm | wc -l')).not.toBe('0');
      expect(await stateOf(test, id)).toBe(ContainerState.CONTAINER_RUNNING);
    });

    it('runs without security context and without log path', async () => {
      const id = await started({ linux: { resources: {} }, log_path: '' });
      expect(await output(test, id, 'id -u')).toBe('0');
      expect((await containerStatus(test, id)).log_path).toBe('');
    });

    it("does not report the image's labels", async () => {
      const labels = { own: 'yes' };
      const id = await started({ labels });
      const check = async (): Promise<void> => {
        expect((await containerStatus(test, id)).labels).toEqual(labels);
        const { containers } = await test.client.call('ListContainers', { filter: { id } });
        expect(containers[0]!.labels).toEqual(labels);
      };
      await check();
      await test.restart();
      await check();
    });

    it('refuses a configuration without a name or an image, and an image that the node does not have', async () => {
      const create = (config: cri.IContainerConfig): Promise<string> => createContainer(test, pod, config);
      const image = { image: TEST_IMAGE };
      await expectFailure(create({ image }), 'INVALID_ARGUMENT', /config\.metadata/);
      await expectFailure(create({ metadata: { name: 'x' } }), 'INVALID_ARGUMENT', /config\.image/);
      await expectFailure(create({ metadata: {}, image }), 'INVALID_ARGUMENT', /config\.metadata\.name/);
      await expectFailure(
        create({ metadata: { name: 'x' }, image: { image: 'dockbridge.test/absent:1' } }),
        'NOT_FOUND',
        /pull it first/,
      );
    });
  });

  describe('with settings of the process', () => {
    it('drops the CMD of the image when there is a command without args', async () => {
      expect(await printed({ command: ['/bin/echo'] })).toBe('\n');
    });

    it('passes args to the command', async () => {
      expect(await printed({ command: ['/bin/echo', '-n'], args: ['a b', '$HOME'] })).toBe('a b $HOME');
    });

    it("runs args alone in place of the image's CMD", async () => {
      expect(await printed({ command: [], args: ['echo', 'only args'] })).toBe('only args\n');
    });

    it('sets the environment, even beyond ASCII', async () => {
      const envs = [
        { key: 'PLAIN', value: Buffer.from('one') },
        { key: 'ODD', value: Buffer.from('a=b "c"\nd ü€') },
        { key: 'EMPTY', value: Buffer.from('') },
      ];
      const id = await started({ envs });
      expect(await output(test, id, 'echo "$PLAIN|$ODD|${EMPTY-unset}|"')).toBe('one|a=b "c"\nd ü€||');
    });

    it('starts in the working directory', async () => {
      expect(await printed({ command: ['/bin/pwd'], working_dir: '/www' })).toBe('/www\n');
    });

    it('gives a terminal only on request', async () => {
      const command = ['/bin/sh', '-c', 'if [ -t 1 ]; then echo tty; else echo pipe; fi'];
      expect(await printed({ command, tty: true })).toMatch(/^tty\r?\n$/);
      expect(await printed({ command })).toBe('pipe\n');
    });

    it('makes StopContainer send the requested signal', async () => {
      const id = await started({
        command: ['/bin/sh', '-c', 'trap "exit 7" USR1; touch /ready; while :; do sleep 0.1; done'],
        stop_signal: Signal.SIGNAL_SIGUSR1,
      });
      expect((await containerStatus(test, id)).stop_signal).toBe(Signal.SIGNAL_SIGUSR1);
      await output(test, id, 'until [ -e /ready ]; do :; done');
      await test.client.call('StopContainer', { container_id: id, timeout: 20 });
      expect(await containerStatus(test, id)).toMatchObject({ exit_code: 7, reason: 'Error' });
    });

    it('reports SIGTERM as the effective stop signal when none is requested', async () => {
      expect((await containerStatus(test, await started({}))).stop_signal).toBe(Signal.SIGNAL_SIGTERM);
    });
  });

  describe('with mounts', () => {
    const source = async (name: string): Promise<string> => {
      const path = join(test.directory, name);
      await mkdir(path);
      await writeFile(join(path, 'file'), 'from the host');
      return path;
    };

    it('mounts directories read-only and read-write, and reports them as requested', async () => {
      const [ro, rw] = [await source('ro'), await source('rw')];
      const link = join(test.directory, 'link');
      await symlink(rw, link);
      const mounts = [
        { container_path: '/ro', host_path: ro, readonly: true },
        { container_path: '/rw', host_path: rw },
        { container_path: '/linked', host_path: link },
        { container_path: '/etc/one-file', host_path: join(ro, 'file'), readonly: true },
      ];
      const id = await started({ mounts });
      const check = async (): Promise<void> => {
        const status = await containerStatus(test, id);
        expect(
          status.mounts.map(({ container_path, host_path, readonly, propagation }) => ({
            container_path,
            host_path,
            readonly,
            propagation,
          })),
        ).toEqual(mounts.map((mount) => ({ readonly: false, propagation: 0, ...mount })));
      };
      await check();
      expect(await output(test, id, 'cat /ro/file /etc/one-file')).toBe('from the hostfrom the host');
      expect((await exec(test, id, 'echo x > /ro/new')).stderr).toMatch(/Read-only/);
      await output(test, id, 'echo hello > /linked/new');
      expect(await readFile(join(rw, 'new'), 'utf8')).toBe('hello\n');
      await test.restart();
      await check();
    });

    it('propagates later mounts of the host on request, and reports the requested propagation', async () => {
      const shared = await source('shared');
      const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } =
        MountPropagation;
      await run('mount', ['--bind', shared, shared]);
      try {
        await run('mount', ['--make-shared', shared]);
        const asked = {
          '/private': PROPAGATION_PRIVATE,
          '/slave': PROPAGATION_HOST_TO_CONTAINER,
          '/shared': PROPAGATION_BIDIRECTIONAL,
        };
        const id = await started({
          mounts: Object.entries(asked).map(([container_path, propagation]) => ({
            container_path,
            propagation,
            host_path: shared,
          })),
        });
        await mkdir(join(shared, 'later'));
        await run('mount', ['-t', 'tmpfs', 'dockbridge-test', join(shared, 'later')]);
        await writeFile(join(shared, 'later', 'seen'), '');
        const list = 'cd /; ls -d private/later/* slave/later/* shared/later/* 2>/dev/null; true';
        expect(await output(test, id, list)).toBe('shared/later/seen\nslave/later/seen');
        expect(
          Object.fromEntries(
            (await containerStatus(test, id)).mounts.map((mount) => [
              mount.container_path,
              mount.propagation,
            ]),
          ),
        ).toEqual(asked);
        await test.client.call('RemoveContainer', { container_id: id });
      } finally {
        await run('umount', ['--recursive', shared]);
      }
    });
  });

  describe('with devices', () => {
    it('passes a device of the host on, with the given permissions', async () => {
      // Opening /dev/kmsg for writing writes nothing, and is forbidden to containers by default.
      const open = async (permissions: string): Promise<string> => {
        const device = { host_path: '/dev/kmsg', container_path: '/dev/my-kmsg', permissions };
        const id = await started({ devices: [device] });
        return (await exec(test, id, 'test -c /dev/my-kmsg && : > /dev/my-kmsg && echo opened')).stdout;
      };
      expect(await open('rw')).toBe('opened\n');
      expect(await open('r')).toBe('');
    });
  });
});
