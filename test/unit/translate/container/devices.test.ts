import { toEngineDevices } from '../../../../src/translate/container/devices';
import { codeAndField, thrownBy } from '../../support/errors';
import { engineFeatures, NO_FEATURES } from '../../support/records';
import { decoded } from '../../support/wire';

type Given = Parameters<typeof decoded<'ContainerConfig'>>[1];
const DEVICE = { container_path: '/dev/c', host_path: '/dev/h', permissions: 'rwm' };

const devices = (given: Given, features = engineFeatures()) =>
  toEngineDevices(decoded('ContainerConfig', given), features, 'config');

describe('devices', () => {
  it('are handed over by path', () => {
    expect(devices({ devices: [DEVICE] })).toEqual({
      Devices: [{ PathOnHost: '/dev/h', PathInContainer: '/dev/c', CgroupPermissions: 'rwm' }],
    });
  });

  it.each([
    [{ permissions: '' }, 'permissions'],
    [{ permissions: 'rx' }, 'permissions'],
    [{ host_path: 'dev' }, 'host_path'],
    [{ host_path: '/dev\0' }, 'host_path'],
    [{ container_path: '' }, 'container_path'],
  ])('are refused with %p', (given, field) => {
    expect(codeAndField(() => devices({ devices: [DEVICE, { ...DEVICE, ...given }] }))).toBe(
      `INVALID_ARGUMENT config.devices[1].${field}`,
    );
  });
});

describe('two devices', () => {
  const two = (second: Partial<typeof DEVICE>, first: Partial<typeof DEVICE> = {}): string =>
    thrownBy(() =>
      devices({
        devices: [
          { ...DEVICE, ...first },
          { ...DEVICE, ...second },
        ],
      }),
    );

  it.each([
    [{ host_path: '/dev/other' }, '/dev/c'],
    [{ host_path: '/dev/other', container_path: '//dev/./c/' }, '//dev/./c/'],
  ])('in one place are refused: %j', (second, shown) => {
    expect(two(second)).toMatch(
      `INVALID_ARGUMENT config.devices[1].container_path: "${shown}" is config.devices[0] already`,
    );
  });

  it.each(['/', '//', '/dev/..'])('none is the root %s', (container_path) => {
    expect(two({ container_path })).toMatch(
      /^INVALID_ARGUMENT config\.devices\[1\]\.container_path: .* is the root/,
    );
  });

  it('may be one whose rights come in two parts', () => {
    const parts = [
      { ...DEVICE, permissions: 'r' },
      { ...DEVICE, permissions: 'w' },
    ];
    expect(devices({ devices: parts }).Devices.map(({ CgroupPermissions }) => CgroupPermissions)).toEqual([
      'r',
      'w',
    ]);
  });
});

describe('CDI devices', () => {
  it('are one request, in their order', () => {
    const names = ['vendor.com/gpu=0', 'k8s.gpu.nvidia.com/claim=4f-gpu:1.2'];
    expect(devices({ CDI_devices: names.map((name) => ({ name })) }).DeviceRequests).toEqual([
      { Driver: 'cdi', DeviceIDs: names },
    ]);
  });

  it.each(['', 'gpu', 'vendor.com/gpu', 'vendor.com=0', 'vendor.com/gpu=', 'a b/c=d'])(
    'are not %p',
    (name) => {
      expect(codeAndField(() => devices({ CDI_devices: [{ name }] }))).toBe(
        'INVALID_ARGUMENT config.CDI_devices[0].name',
      );
    },
  );

  it('are refused by an Engine without the feature, with what to do', () => {
    const refusal = thrownBy(() => devices({ CDI_devices: [{ name: 'vendor.com/gpu=0' }] }, NO_FEATURES));
    expect(refusal).toMatch(
      /^UNIMPLEMENTED config\.CDI_devices\[0\]\.name: .*25\.0.*daemon\.json.*20\.10\.24/,
    );
  });
});
