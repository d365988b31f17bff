import { isAbsolute, join } from 'node:path';
import type { Target } from './mapping/row';
import { RUNC, type OciRuntime } from './mapping/target-settings';

/** systemd's search path for services. */
const PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Where packages of CRI-O and of distributions put conmon, which CRI-O runs for each container. */
export const CONMON_PLACES = [
  '/usr/libexec/crio/conmon',
  '/usr/bin/conmon',
  '/usr/local/bin/conmon',
  '/usr/libexec/podman/conmon',
];

/** Where the programs of the targets are. */
export const PROGRAMS: Readonly<Record<Target, readonly string[]>> = {
  containerd: ['/usr/bin/containerd', '/usr/local/bin/containerd'],
  'cri-o': ['/usr/bin/crio', '/usr/local/bin/crio'],
};

/** Returns where the program of a runtime may be, the best place first. The Engine looks for a plain name in its PATH. */
export function runtimePlaces(runtime: OciRuntime): string[] {
  const program = programOf(runtime);
  if (isAbsolute(program)) return [program];
  return program === '' || program.includes('/') ? [] : PATH.map((directory) => join(directory, program));
}

/** Returns the program as the settings name it, or the name of its shim; '' when nothing tells it. */
export function programOf({ path, type, options }: OciRuntime): string {
  if (path !== '') return path;
  if (type === RUNC) return typeof options.BinaryName === 'string' ? options.BinaryName : '';
  if (isAbsolute(type)) return type;
  // containerd finds the shim of io.containerd.NAME.vN by this name.
  const [, , name = '', version = ''] = type.split('.');
  return name === '' || version === '' ? '' : `containerd-shim-${name}-${version}`;
}

/** Returns all places where the inventory looks for programs. */
export function wantedPrograms(runtimes: readonly OciRuntime[]): string[] {
  return [...Object.values(PROGRAMS).flat(), ...CONMON_PLACES, ...runtimes.flatMap(runtimePlaces)];
}
