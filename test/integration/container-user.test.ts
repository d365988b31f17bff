import { readFile } from 'node:fs/promises';
import type { cri } from '../../src/proto';
import { SupplementalGroupsPolicy } from '../../src/proto/enums';
import { pidOf } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { engineCall, engineGet, sharedDockerHost, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  exec,
  FOREVER,
  freshConfig,
  output,
  podConfig,
  runPod,
  startedContainer,
} from './support/pods';

const GROUPS_IMAGE = 'dockbridge.test/groups:1';
const value = (number: number): cri.IInt64Value => ({ value: number });
const { Merge, Strict } = SupplementalGroupsPolicy;

interface Case {
  readonly desc: string;
  readonly context: cri.ILinuxContainerSecurityContext | null;
  readonly image?: string;
  /** Uid, gid, groups. */
  readonly is: readonly [number, number, readonly number[]];
}

describe('the user of a container', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    test = await TestDaemon.start();
    pod = await runPod(test);
    await makeGroupsImage();
  });
  afterAll(async () => {
    await test.stop();
    await engineCall(sharedDockerHost(), 'DELETE', `/images/${GROUPS_IMAGE}`);
  });

  /** Makes an image with the user 1000, which is in the group 50000 according to the image's /etc/group. */
  async function makeGroupsImage(): Promise<void> {
    const script = 'echo extra:x:50000:root,tester >> /etc/group; echo done; exec sleep 1000';
    const id = await startedContainer(test, pod, containerConfig('maker', script));
    while ((await exec(test, id, 'grep extra /etc/group')).code !== 0);
    const [repo, tag] = GROUPS_IMAGE.split(':');
    const query = new URLSearchParams({ container: id, repo: repo!, tag: tag!, changes: 'USER 1000' });
    await engineCall(sharedDockerHost(), 'POST', `/commit?${query.toString()}`, { json: {} });
  }

  const started = (
    security_context: cri.ILinuxContainerSecurityContext | null,
    image = GROUPS_IMAGE,
  ): Promise<string> =>
    startedContainer(
      test,
      pod,
      freshConfig(FOREVER, {
        image: { image },
        linux: security_context && { security_context },
      }),
    );
  /** Reads a process's effective uid and gid, and its groups, from the kernel. */
  const identityIn = (status: string): [number, number, number[]] => {
    const line = (name: string): number[] =>
      (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '')
        .trim()
        .split(/\s+/)
        .filter((word) => word !== '')
        .map(Number);
    return [line('Uid')[1]!, line('Gid')[1]!, line('Groups')];
  };

  const cases: readonly Case[] = [
    { desc: 'the image’s, without a setting', context: null, is: [1000, 1000, [1000, 50000]] },
    { desc: 'root of an image without a user', context: {}, image: TEST_IMAGE, is: [0, 0, [0]] },
    { desc: 'the uid and gid of an image', context: {}, image: USER_IMAGE, is: [1000, 1000, [1000]] },
    {
      desc: 'root, although the image has another user',
      context: { run_as_user: value(0) },
      image: USER_IMAGE,
      is: [0, 0, [0]],
    },
    {
      desc: 'a uid with its group from the image',
      context: { run_as_user: value(33) },
      is: [33, 33, [33]],
    },
    { desc: 'a uid that the image does not know', context: { run_as_user: value(1234) }, is: [1234, 0, [0]] },
    { desc: 'a name', context: { run_as_username: 'www-data' }, is: [33, 33, [33]] },
    {
      desc: 'a uid and a group',
      context: { run_as_user: value(1234), run_as_group: value(5678) },
      is: [1234, 5678, [5678]],
    },
    {
      desc: 'a name and a group',
      context: { run_as_username: 'www-data', run_as_group: value(7) },
      is: [33, 7, [7]],
    },
    {
      desc: 'in the image’s groups too, with the policy Merge',
      context: { run_as_user: value(1000), supplemental_groups: [1234], supplemental_groups_policy: Merge },
      is: [1000, 1000, [1000, 1234, 50000]],
    },
    {
      desc: 'in the image’s groups too, with an explicit group and the default policy',
      context: { run_as_user: value(1000), run_as_group: value(5), supplemental_groups: [1234] },
      is: [1000, 5, [5, 1234, 50000]],
    },
    {
      desc: 'not in the image’s groups, with the policy Strict',
      context: { run_as_user: value(1000), supplemental_groups: [1234], supplemental_groups_policy: Strict },
      is: [1000, 1000, [1000, 1234]],
    },
    {
      desc: 'not in the groups of the image’s user, with the policy Strict',
      context: { supplemental_groups_policy: Strict },
      is: [1000, 1000, [1000]],
    },
  ];

  it.each(cases)('is $desc', async ({ context, image, is: [uid, gid, groups] }) => {
    const id = await started(context, image);
    const inside = await output(test, id, 'cat /proc/self/status');
    expect(identityIn(inside)).toEqual([uid, gid, groups]);
    // Checks the first process too, not only a process of an exec.
    const first = await readFile(`/proc/${await pidOf(id)}/status`, 'utf8');
    expect(identityIn(first)).toEqual([uid, gid, groups]);
    const linux = (await containerStatus(test, id)).user?.linux;
    expect([Number(linux?.uid), Number(linux?.gid), linux?.supplemental_groups.map(Number)]).toEqual([
      ...[uid, gid, groups],
    ]);
  });

  it('is reported after a restart as before', async () => {
    const id = await started({ run_as_user: value(1000), supplemental_groups: [1234] });
    const before = (await containerStatus(test, id)).user;
    await test.restart();
    expect((await containerStatus(test, id)).user).toEqual(before);
  });

  it('must be valid', async () => {
    await expectFailure(started({ run_as_group: value(5) }), 'INVALID_ARGUMENT', /run_as_group.*run_as_user/);
    await expectFailure(started({ run_as_username: 'who' }), 'INVALID_ARGUMENT', /run_as_username.*"who"/);
    await expectFailure(
      started({ run_as_username: 'root', run_as_user: value(0) }),
      'INVALID_ARGUMENT',
      /run_as_username/,
    );
    await expectFailure(
      started({ supplemental_groups_policy: 7 as SupplementalGroupsPolicy }),
      'INVALID_ARGUMENT',
      /supplemental_groups_policy/,
    );
  });

  it('follows the same rules as the user of a sandbox', async () => {
    const security_context = {
      run_as_user: value(65535),
      supplemental_groups: [4321],
      supplemental_groups_policy: Strict,
    };
    const id = await runPod(test, podConfig(test, { linux: { security_context } }));
    const probe = await startedContainer(test, id, containerConfig('probe', FOREVER));
    // PID 1 of a shared process namespace is the pause process.
    expect(identityIn(await output(test, probe, 'cat /proc/1/status'))).toEqual([65535, 0, [0, 4321]]);
  });

  it('can have a policy for its groups, as the features in Status say', async () => {
    const { features } = await test.client.call('Status', {});
    expect(features?.supplemental_groups_policy).toBe(true);
  });

  it('needs one probe container and two file reads for each image, and leaves no probe container behind', async () => {
    await test.restart();
    await test.synced();
    const first = await test.countEngineCalls(() => started({}));
    expect(first).toEqual({
      createContainer: 2,
      readFile: 2,
      removeContainer: 1,
      startContainer: 1,
      inspectContainer: 1,
    });
    const others = await test.countEngineCalls(() => Promise.all([started({}), started({})]));
    expect(others).toEqual({ createContainer: 2, startContainer: 2, inspectContainer: 2 });
    const filters = JSON.stringify({ label: ['io.dockbridge.probe'] });
    const query = new URLSearchParams({ all: '1', filters });
    expect(await engineGet(sharedDockerHost(), `/containers/json?${query.toString()}`)).toEqual([]);
  });
});
