import type { cri, Decoded } from '../../proto';
import { apparmorOption, selinuxOptions } from '../shared/security-options';
import { toEngineCapabilities, type NodeCapabilities } from './capabilities';
import type { EngineHostConfig } from '../../engine/types';
import { noNewPrivileges } from '../shared/engine-defaults';
import { absolutePath, withoutNul } from '../shared/validate';

type Context = Decoded<cri.ILinuxContainerSecurityContext>;

/** The facts of node and Engine that a security context's translation depends on. */
export interface SecuritySurroundings {
  /** Whether the Engine enforces AppArmor. */
  readonly apparmor: boolean;
  readonly capabilities: NodeCapabilities;
  /** Device nodes of this node for a privileged container; used only if the Engine's `Privileged` cannot be. */
  readonly hostDevices: readonly string[];
}

/** Whether a privileged container of this node cannot use the Engine's `Privileged` (ADR 0012). */
export function needsHostDevices(context: Context | null, node: NodeCapabilities): boolean {
  return context?.privileged === true && node !== undefined;
}

/** LinuxContainerSecurityContext → HostConfig, but for namespaces and groups. @param seccomp SecurityOpt of the seccomp profile. */
export function toEngineSecurity(
  context: Context | null,
  field: string,
  surroundings: SecuritySurroundings,
  seccomp: readonly string[],
): EngineHostConfig {
  // Without a context the Engine's defaults apply, such as its capabilities and masked paths.
  if (context === null) return { SecurityOpt: [...seccomp, noNewPrivileges(false)] };
  const apparmor = apparmorOption(
    context.apparmor,
    context.apparmor_profile,
    `${field}.apparmor`,
    surroundings.apparmor,
  );
  const options = [
    ...seccomp,
    noNewPrivileges(context.no_new_privs),
    ...selinuxOptions(context.selinux_options, `${field}.selinux_options`),
  ];
  if (!context.privileged) {
    return {
      ReadonlyRootfs: context.readonly_rootfs,
      ...toEngineCapabilities(context.capabilities, `${field}.capabilities`, surroundings.capabilities),
      Privileged: false,
      // Complete lists: empty unmasks everything (procMount: Unmasked).
      MaskedPaths: absolutePaths(context.masked_paths, `${field}.masked_paths`),
      ReadonlyPaths: absolutePaths(context.readonly_paths, `${field}.readonly_paths`),
      SecurityOpt: [...options, ...apparmor],
    };
  }
  // A privileged container has all capabilities, but an unknown name is still an error.
  toEngineCapabilities(context.capabilities, `${field}.capabilities`, undefined);
  return {
    ReadonlyRootfs: context.readonly_rootfs,
    ...privileged(surroundings),
    SecurityOpt: [
      ...options,
      ...(surroundings.apparmor && apparmor.length === 0 ? ['apparmor=unconfined'] : apparmor),
      ...(context.selinux_options === null ? ['label=disable'] : []),
    ],
  };
}

/**
 * The Engine's `Privileged` means all capabilities, and fails on a node that lacks one (ADR 0012). There the parts are set one by
 * one; missing are the capabilities that the node lacks, and writable mounts of /sys and cgroups.
 */
function privileged({ capabilities, hostDevices }: SecuritySurroundings): EngineHostConfig {
  if (capabilities === undefined) return { Privileged: true };
  return {
    Privileged: false,
    CapAdd: [...capabilities],
    CapDrop: [],
    MaskedPaths: [],
    ReadonlyPaths: [],
    Devices: hostDevices.map((path) => ({
      PathOnHost: path,
      PathInContainer: path,
      CgroupPermissions: 'rwm',
    })),
    DeviceCgroupRules: ['a *:* rwm'],
  };
}

function absolutePaths(paths: readonly string[], field: string): string[] {
  return paths.map((path, index) =>
    absolutePath(withoutNul(path, `${field}[${index}]`), `${field}[${index}]`),
  );
}
