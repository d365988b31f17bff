import { stringify } from 'smol-toml';
import type { JsonObject } from '../../lib/json';
import type { TargetSettings } from '../mapping/target-settings';
import { crioRoot } from '../target-root';
import type { TargetNode } from './containerd';
import { crioRuntimes } from './crio-runtimes';
import { targetFile, type PlannedFile } from './node-file';
import { registriesConf } from './registries';
import { unitDropIns } from './systemd';

export const CRIO_DROP_IN = '/etc/crio/crio.conf.d/10-from-docker.conf';
/** A file of its own, which comes when dockerd has given its port free. */
export const CRIO_METRICS = '/etc/crio/crio.conf.d/20-metrics-from-docker.conf';

/** What containers of the Engine may do and those of CRI-O may not, unless it is told (CRI-O has nine of Docker's capabilities). */
const DOCKER_CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'KILL',
  'NET_RAW',
  'SYS_CHROOT',
  'MKNOD',
  'SETFCAP',
  'AUDIT_WRITE',
];

/** The Engine sets these in every container with a network of its own since 20.10. */
const DOCKER_SYSCTLS = ['net.ipv4.ip_unprivileged_port_start=0', 'net.ipv4.ping_group_range=0 2147483647'];

/** Returns all files of CRI-O. */
export function crioFiles(settings: TargetSettings, node: TargetNode, origin: string): PlannedFile[] {
  return [
    targetFile(
      CRIO_DROP_IN,
      origin,
      '# default_capabilities and default_sysctls are those of Docker. Remove them when no pod needs them.\n' +
        stringify(crioConfig(settings, node)),
    ),
    ...metricsFile(settings, origin),
    registriesConf(settings, origin),
    ...unitDropIns('crio', settings, node.openFiles, origin),
  ];
}

/** Returns the configuration (crio.conf(5)). */
export function crioConfig(settings: TargetSettings, node: TargetNode): JsonObject {
  return {
    crio: {
      ...(settings.dataParent === '' ? {} : { root: crioRoot(settings.dataParent) }),
      ...(settings.storageDriver === '' ? {} : { storage_driver: settings.storageDriver }),
      runtime: runtimeTable(settings, node),
      ...(node.sandboxImage === '' ? {} : { image: { pause_image: node.sandboxImage } }),
      // CRI-O looks for plugins in these directories and in no others.
      network: { network_dir: node.cniConfDir, plugin_dirs: node.cniBinDirs },
    },
  };
}

function runtimeTable(settings: TargetSettings, node: TargetNode): JsonObject {
  const { entries, defaultRuntime } = crioRuntimes(settings, node);
  return {
    cgroup_manager: settings.cgroupDriver,
    // conmon's group must be the pod's when systemd does not manage the groups.
    ...(settings.cgroupDriver === 'cgroupfs' ? { conmon_cgroup: 'pod' } : {}),
    ...(defaultRuntime === '' ? {} : { default_runtime: defaultRuntime }),
    ...(settings.seccompProfile === '' ? {} : { seccomp_profile: settings.seccompProfile }),
    ...(settings.selinux ? { selinux: true } : {}),
    ...(settings.cdiSpecDirs.length === 0 ? {} : { cdi_spec_dirs: settings.cdiSpecDirs }),
    ...(settings.logLevel === '' ? {} : { log_level: settings.logLevel }),
    ...(settings.logToJournald ? { log_to_journald: true } : {}),
    ...(settings.ulimits.length === 0
      ? {}
      : { default_ulimits: settings.ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`) }),
    default_capabilities: DOCKER_CAPABILITIES,
    default_sysctls: DOCKER_SYSCTLS,
    ...(Object.keys(entries).length === 0 ? {} : { runtimes: entries }),
  };
}

function metricsFile({ metricsAddress: address }: TargetSettings, origin: string): PlannedFile[] {
  const at = address.lastIndexOf(':');
  const port = Number(address.slice(at + 1));
  if (at === -1 || !Number.isInteger(port)) return [];
  const host = address.slice(0, at).replace(/^\[|\]$/g, '') || '0.0.0.0';
  const metrics = { enable_metrics: true, metrics_host: host, metrics_port: port };
  return [{ ...targetFile(CRIO_METRICS, origin, stringify({ crio: { metrics } })), step: 'enable-metrics' }];
}
