import type { TargetSettings } from '../mapping/target-settings';
import { SECRET_MODE, targetFile, type PlannedFile } from './node-file';

/** Writes the drop-ins of the target's unit: proxies, and limits that dockerd had from its own unit. */
export function unitDropIns(
  unit: 'containerd' | 'crio',
  settings: TargetSettings,
  openFiles: string,
  origin: string,
): PlannedFile[] {
  const directory = `/etc/systemd/system/${unit}.service.d`;
  const environment = [
    ...(settings.proxy.http === '' ? [] : [variable('HTTP_PROXY', settings.proxy.http)]),
    ...(settings.proxy.https === '' ? [] : [variable('HTTPS_PROXY', settings.proxy.https)]),
    ...(settings.proxy.no === '' ? [] : [variable('NO_PROXY', settings.proxy.no)]),
  ];
  const limits = [
    ...(openFiles === '' ? [] : [`LimitNOFILE=${openFiles}`]),
    ...(settings.oomScoreAdjust === undefined ? [] : [`OOMScoreAdjust=${settings.oomScoreAdjust}`]),
  ];
  return [
    // A proxy's URL may hold a password.
    ...(environment.length === 0
      ? []
      : [targetFile(`${directory}/10-proxy-from-docker.conf`, origin, service(environment), SECRET_MODE)]),
    ...(limits.length === 0
      ? []
      : [targetFile(`${directory}/10-limits-from-docker.conf`, origin, service(limits))]),
  ];
}

function service(lines: readonly string[]): string {
  return ['[Service]', ...lines, ''].join('\n');
}

/** systemd.exec(5): quotes and backslashes are escaped, and a percent sign starts a specifier. */
function variable(name: string, value: string): string {
  return `Environment="${name}=${value.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%')}"`;
}
