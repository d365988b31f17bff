import { cgroupMembers } from '../../../../src/lib/cgroup/members';

// That it finds them is seen where commands time out in real containers: exec-sync, streaming-sessions.
it('Members are not known of a process that has ended, nor of one that is somebody else’s', async () => {
  await expect(cgroupMembers(2 ** 22 + 1, 'c0ffee')()).resolves.toBeUndefined();
  await expect(cgroupMembers(process.pid, 'c0ffee')()).resolves.toBeUndefined();
});
