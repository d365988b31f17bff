import { cgroupDirectories, cgroupMembers } from '../../../src/lib/cgroup-members';

const ID = 'c0ffee';

describe('A container’s control group', () => {
  it.each([
    [
      'version 1',
      `4:memory:/docker/${ID}\n3:cpu,cpuacct:/docker/${ID}`,
      [`memory/docker/${ID}`, `cpu,cpuacct/docker/${ID}`],
    ],
    [
      'version 2, a scope of systemd',
      `0::/kubepods.slice/docker-${ID}.scope`,
      [`kubepods.slice/docker-${ID}.scope`],
    ],
    ['a process in a group below it', `0::/docker/${ID}/init.scope`, [`docker/${ID}`]],
    ['colons in a path', `0::/cri:docker:${ID}/x`, [`cri:docker:${ID}`]],
    ['named hierarchies', `1:name=systemd:/docker/${ID}`, []],
    ['somebody else’s', '4:memory:/docker/decade\n0::/', []],
  ])('is found: %s', (_, text, found) => {
    expect(cgroupDirectories(text, ID)).toEqual(found.map((path) => `/sys/fs/cgroup/${path}`));
  });

  it('is not known of a process that has ended', async () => {
    await expect(cgroupMembers(2 ** 22 + 1, ID)()).resolves.toBeUndefined();
  });
});
