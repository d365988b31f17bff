import { posix } from 'node:path';
import { invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { EngineHostConfig } from '../../engine/types';
import type { EngineFeatures } from '../shared/engine-facts';
import { absolutePath, withoutNul } from '../shared/validate';

type Config = Pick<Decoded<cri.IContainerConfig>, 'devices' | 'CDI_devices'>;

interface EngineDevices extends Pick<EngineHostConfig, 'DeviceRequests'> {
  readonly Devices: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[];
}

/** `vendor.example/class=name`, as the Container Device Interface spells a device. */
const CDI_NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*=[A-Za-z0-9][\w.:-]*$/;

export function toEngineDevices(config: Config, features: EngineFeatures, field: string): EngineDevices {
  const names = config.CDI_devices.map(({ name }, index) =>
    cdiName(name, features, `${field}.CDI_devices[${index}]`),
  );
  return {
    Devices: toEngineDeviceList(config.devices, `${field}.devices`),
    ...(names.length === 0 ? {} : { DeviceRequests: [{ Driver: 'cdi', DeviceIDs: names }] }),
  };
}

function toEngineDeviceList(devices: Config['devices'], field: string): EngineDevices['Devices'] {
  const seen = new Map<string, { source: string; index: number }>();
  return devices.map((device, index) => {
    const made = toEngineDevice(device, `${field}[${index}]`);
    const [source, target] = [posix.normalize(made.PathOnHost), posix.join(made.PathInContainer, '/')];
    const at = `${field}[${index}].container_path`;
    if (target === '/') throw invalidArgument(at, `"${device.container_path}" is the root of the container`);
    const first = seen.get(target);
    // The OCI runtime creates the first one and ignores the others. One device may be given twice, with its rights in two parts.
    if (first !== undefined && first.source !== source)
      throw invalidArgument(at, `"${device.container_path}" is ${field}[${first.index}] already`);
    seen.set(target, { source, index });
    return made;
  });
}

function toEngineDevice(
  device: Decoded<cri.IDevice>,
  field: string,
): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  if (!/^[rwm]{1,3}$/.test(device.permissions)) {
    throw invalidArgument(
      `${field}.permissions`,
      `${JSON.stringify(device.permissions)} is not made of r, w and m`,
    );
  }
  const path = (name: 'host_path' | 'container_path'): string =>
    absolutePath(withoutNul(device[name], `${field}.${name}`), `${field}.${name}`);
  return {
    PathOnHost: path('host_path'),
    PathInContainer: path('container_path'),
    CgroupPermissions: device.permissions,
  };
}

function cdiName(name: string, features: EngineFeatures, field: string): string {
  if (!CDI_NAME.test(name)) {
    throw invalidArgument(`${field}.name`, `${JSON.stringify(name)} is not a CDI device (vendor/class=name)`);
  }
  if (!features.cdi) {
    throw unsupported(
      `${field}.name`,
      `needs Docker Engine 25.0 or newer with "features": {"cdi": true} in daemon.json (this is ${features.version})`,
    );
  }
  return name;
}
