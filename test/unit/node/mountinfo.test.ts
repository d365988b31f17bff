import { parseMountinfo } from '../../../src/node/mountinfo';

describe('parseMountinfo', () => {
  it('reads mounts with and without optional fields, and skips lines that are not mounts', () => {
    const text =
      '36 35 98:0 /sub /mnt rw,noatime master:1 shared:2 - ext4 /dev/sda1 rw,errors=continue\n' +
      '4 5 0:6 / / rw - overlay overlay rw,upperdir=/a\\040b\n\nno mount\n';
    expect(parseMountinfo(text)).toEqual([
      {
        ...{
          id: '36',
          options: 'rw,noatime',
          isShared: true,
          isSlave: true,
          device: '98:0',
          root: '/sub',
          mountPoint: '/mnt',
        },
        ...{ type: 'ext4', source: '/dev/sda1', superOptions: 'rw,errors=continue' },
      },
      {
        ...{
          id: '4',
          options: 'rw',
          isShared: false,
          isSlave: false,
          device: '0:6',
          root: '/',
          mountPoint: '/',
        },
        ...{ type: 'overlay', source: 'overlay', superOptions: 'rw,upperdir=/a\\040b' },
      },
    ]);
  });

  it('decodes escapes in names', () => {
    expect(parseMountinfo('1 2 0:3 /a\\134b /c\\040d rw - nfs host:/e\\011f rw')).toMatchObject([
      { root: '/a\\b', mountPoint: '/c d', source: 'host:/e\tf' },
    ]);
  });
});
