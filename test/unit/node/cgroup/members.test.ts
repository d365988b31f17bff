import { cgroupMembers, isInContainer } from '../../../../src/node/cgroup/members';

describe('isInContainer', () => {
  it.each([
    { desc: 'a part of our own cgroup path', pid: process.pid, id: '/', is: true },
    { desc: "a stranger's id", pid: process.pid, id: 'f'.repeat(64), is: false },
    { desc: 'a pid that does not exist', pid: 2 ** 30, id: '/', is: false },
  ])('$desc', async ({ pid, id, is }) => {
    await expect(isInContainer(pid, id)).resolves.toBe(is);
  });
});

describe('cgroupMembers', () => {
  // That it finds them is seen where commands time out in real containers: exec-sync, streaming-sessions.
  it.each([
    { desc: 'has ended', pid: 2 ** 22 + 1 },
    { desc: 'is somebody else’s', pid: process.pid },
  ])('knows none where the process $desc', async ({ pid }) => {
    await expect(cgroupMembers(pid, 'c0ffee')()).resolves.toBeUndefined();
  });
});
