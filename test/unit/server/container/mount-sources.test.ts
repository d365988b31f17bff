import { DiskLooks } from '../../../../src/node/disk/disk-looks';
import { NoDirectory } from '../../../../src/node/disk/make-directory';
import { makeMissingSources } from '../../../../src/server/container/mount-sources';
import type { MountRecord } from '../../../../src/store/records';
import { silentLogger } from '../../../../src/lib/logger';

const mountOf = (hostPath: string): MountRecord => ({ hostPath }) as MountRecord;

describe('makeMissingSources', () => {
  let asked: string[];
  const parts = (make: (path: string) => Promise<boolean>) => ({
    logger: silentLogger,
    hostDisks: new DiskLooks(2, 5_000),
    make: (path: string) => {
      asked.push(path);
      return make(path);
    },
  });
  beforeEach(() => {
    asked = [];
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('keeps two threads at most, however many mounts of however many containers are on a dead disk', async () => {
    jest.useFakeTimers();
    const dead = parts(() => new Promise(() => undefined));
    for (let call = 0; call < 10; call++) {
      const mounts = [0, 1, 2, 3].map((mount) => mountOf(`/dead/${call}/${mount}`));
      const made = makeMissingSources(mounts, 'config.mounts', dead);
      await jest.advanceTimersByTimeAsync(5_000);
      // The Engine says what it sees.
      await made;
    }
    expect(asked).toEqual(['/dead/0/0', '/dead/1/0']);
  });

  it('names the field of the mount that cannot be made, and passes over what has no path', async () => {
    const full = parts((path) =>
      path === '/full' ? Promise.reject(new NoDirectory('cannot be made: ENOSPC')) : Promise.resolve(true),
    );
    const mounts = ['', '/a', '/full', '/b'].map(mountOf);
    await expect(makeMissingSources(mounts, 'config.mounts', full)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'config.mounts[2].host_path: "/full" does not exist on this node and cannot be made: ENOSPC',
    });
    expect(asked).toEqual(['/a', '/full']);
  });
});
