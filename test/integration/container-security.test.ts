import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { cri } from '../../src/proto';
import { SecurityProfileType } from '../../src/proto/enums';
import { listHostDevices } from '../../src/server/container/node-security';
import type { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import {
  exec,
  FOREVER,
  freshConfig,
  output,
  podConfig,
  runPod,
  startedContainer,
  startPodTest,
} from './support/pods';

const CAP_CHOWN = 1n << 0n;
const CAP_NET_ADMIN = 1n << 12n;
const CAP_SYS_ADMIN = 1n << 21n;
const CAP_MKNOD = 1n << 27n;

describe('the security context of a container', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  const started = (
    security_context: cri.ILinuxContainerSecurityContext | null,
    within = pod,
  ): Promise<string> =>
    startedContainer(test, within, freshConfig(FOREVER, { linux: security_context && { security_context } }));
  /** Returns a line of /proc/PID/status of a process in the container. */
  const processStatus = async (id: string, field: string): Promise<string> =>
    (await output(test, id, `grep ^${field}: /proc/self/status`)).split(/\s+/)[1] ?? '';
  /** Returns whether a path of /proc is a mount point. */
  const isMasked = async (id: string, path: string): Promise<boolean> =>
    (await exec(test, id, `grep -q ' ${path} ' /proc/mounts`)).code === 0;
  /**
   * The capabilities that this process, and therefore the Engine, may pass on. Engines of API 1.41 know
   * AUDIT_READ (37) and lower numbers.
   */
  const nodeCapabilities = (): bigint => {
    const mask = /^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    const known = test.daemon.store.engine?.apiVersion === '1.41' ? (1n << 38n) - 1n : ~0n;
    return BigInt(`0x${mask}`) & known;
  };
  const capabilities = async (id: string): Promise<bigint> =>
    BigInt(`0x${await processStatus(id, 'CapEff')}`);

  it('can make the root file system read-only', async () => {
    const id = await started({ readonly_rootfs: true });
    expect((await exec(test, id, 'touch /x')).stderr).toMatch(/Read-only/);
    expect((await exec(test, await started({}), 'touch /x')).code).toBe(0);
  });

  it("gives Docker's default capabilities, fewer or more by name, or none", async () => {
    const byDefault = await capabilities(await started({}));
    expect(byDefault & (CAP_CHOWN | CAP_NET_ADMIN)).toBe(CAP_CHOWN);
    const changed = await started({
      capabilities: { add_capabilities: ['NET_ADMIN'], drop_capabilities: ['CHOWN', 'MKNOD'] },
    });
    expect(await capabilities(changed)).toBe((byDefault | CAP_NET_ADMIN) & ~(CAP_CHOWN | CAP_MKNOD));
    expect(await capabilities(await started({ capabilities: { drop_capabilities: ['ALL'] } }))).toBe(0n);
    const one = { add_capabilities: ['NET_ADMIN'], drop_capabilities: ['ALL'] };
    expect(await capabilities(await started({ capabilities: one }))).toBe(CAP_NET_ADMIN);
    await expectFailure(
      started({ capabilities: { add_ambient_capabilities: ['NET_ADMIN'] } }),
      'UNIMPLEMENTED',
      /add_ambient_capabilities/,
    );
  });

  it('makes a container privileged only in a privileged pod', async () => {
    await expectFailure(started({ privileged: true }), 'FAILED_PRECONDITION', /privileged/);
    const privileged = await runPod(
      test,
      podConfig(test, { linux: { security_context: { privileged: true } } }),
    );
    expect((await capabilities(await started({}, privileged))) & CAP_SYS_ADMIN).toBe(0n);
    const create = async (): Promise<string> => started({ privileged: true }, privileged);
    expect(await capabilities(await create())).toBe(nodeCapabilities());
    // After a restart, only the label says that the pod is privileged.
    await test.restart();
    expect(await capabilities(await create())).toBe(nodeCapabilities());
  });

  it('gives a privileged container every capability of the node', async () => {
    const linux = { security_context: { privileged: true } };
    const id = await started({ privileged: true }, await runPod(test, podConfig(test, { linux })));
    expect(await processStatus(id, 'Seccomp')).toBe('0');
    expect(await isMasked(id, '/proc/keys')).toBe(false);
    expect(await isMasked(id, '/proc/sys')).toBe(false);
    expect(await output(test, id, 'echo 1 > /proc/sys/net/ipv4/ip_forward && echo done')).toBe('done');
    // Every device of the node is present, and all others may be created.
    const devices = (await listHostDevices()).sort();
    const shown = await output(test, id, 'find /dev -type c -o -type b');
    expect(shown.split('\n')).toEqual(expect.arrayContaining(devices));
    expect(await output(test, id, 'mknod /x c 1 3 && echo hello > /x && echo done')).toBe('done');
    // Other containers may not open a device that they create.
    const other = await started({});
    expect((await exec(test, other, 'mknod /x b 7 0 && cat /x')).stderr).toMatch(/not permitted/);
  });

  it('gives every capability of the node for ALL, except those that are dropped', async () => {
    const all = (more: cri.ICapability): Promise<string> =>
      started({ capabilities: { add_capabilities: ['ALL'], ...more } });
    expect(await capabilities(await all({}))).toBe(nodeCapabilities());
    expect(await capabilities(await all({ drop_capabilities: ['NET_ADMIN'] }))).toBe(
      nodeCapabilities() & ~CAP_NET_ADMIN,
    );
  });

  describe('for seccomp', () => {
    const withProfile = (profile_type: SecurityProfileType, localhost_ref = ''): Promise<string> =>
      started({ seccomp: { profile_type, localhost_ref } });

    it('leaves the container unconfined if the profile is missing or says so, and filters calls otherwise', async () => {
      const mode = async (id: string): Promise<string> => processStatus(id, 'Seccomp');
      expect(await mode(await started({}))).toBe('0');
      expect(await mode(await withProfile(SecurityProfileType.Unconfined))).toBe('0');
      expect(await mode(await withProfile(SecurityProfileType.RuntimeDefault))).toBe('2');
      // Without any context, the Engine's own default applies.
      expect(await mode(await started(null))).toBe('2');
    });

    it('accepts a profile from a file on the node', async () => {
      const path = join(test.directory, 'no-mkdir.json');
      const syscalls = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }];
      await writeFile(path, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
      const id = await withProfile(SecurityProfileType.Localhost, path);
      expect(await processStatus(id, 'Seccomp')).toBe('2');
      expect((await exec(test, id, 'mkdir /x')).stderr).toMatch(/not permitted/);
      expect((await exec(test, id, 'touch /x')).code).toBe(0);
    });

    it('refuses profiles that are missing, invalid or relative', async () => {
      const broken = join(test.directory, 'broken.json');
      await writeFile(broken, '{');
      const { Localhost } = SecurityProfileType;
      await expectFailure(withProfile(Localhost, `${broken}x`), 'INVALID_ARGUMENT', /localhost_ref.*cannot/);
      await expectFailure(withProfile(Localhost, broken), 'INVALID_ARGUMENT', /localhost_ref.*not JSON/);
      await expectFailure(withProfile(Localhost, 'x.json'), 'INVALID_ARGUMENT', /localhost_ref.*absolute/);
      await expectFailure(withProfile(5 as SecurityProfileType), 'INVALID_ARGUMENT', /profile_type/);
    });
  });

  it('can forbid new privileges', async () => {
    expect(await processStatus(await started({ no_new_privs: true }), 'NoNewPrivs')).toBe('1');
    expect(await processStatus(await started({}), 'NoNewPrivs')).toBe('0');
  });

  it('masks and write-protects exactly the given paths', async () => {
    const id = await started({ masked_paths: ['/www', '/etc/passwd'], readonly_paths: ['/home'] });
    expect(await output(test, id, 'ls /www; cat /etc/passwd')).toBe('');
    expect((await exec(test, id, 'touch /home/x')).stderr).toMatch(/Read-only/);
    // Docker's own lists must not be added (procMount: Unmasked).
    expect(await isMasked(id, '/proc/keys')).toBe(false);
    expect(await isMasked(id, '/proc/sys')).toBe(false);
    // Without a context, Docker's lists apply.
    const plain = await started(null);
    expect(await isMasked(plain, '/proc/keys')).toBe(true);
    expect(await isMasked(plain, '/proc/sys')).toBe(true);
  });

  it('refuses an unknown AppArmor profile', () =>
    expectFailure(started({ apparmor_profile: 'nonsense' }), 'INVALID_ARGUMENT', /apparmor/));
});
