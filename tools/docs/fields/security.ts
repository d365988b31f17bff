import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const LINUX_SANDBOX_SECURITY_CONTEXT: FieldsOf<cri.ILinuxSandboxSecurityContext> = {
  namespace_options: { becomes: 'see NamespaceOption' },
  selinux_options: { becomes: '`SecurityOpt` `label=…`: see SELinuxOption' },
  run_as_user: { becomes: '`User`', except: 'not 0 to 2147483647' },
  run_as_group: { becomes: '`User`, after the colon', except: 'without `run_as_user`' },
  readonly_rootfs: { becomes: '`ReadonlyRootfs`' },
  supplemental_groups: { becomes: '`GroupAdd`' },
  supplemental_groups_policy: {
    becomes: 'Strict: `User` contains a group, and the Engine then adds none of the image’s groups',
    except: 'an unknown number',
  },
  privileged: {
    becomes: 'label `io.dockbridge.cri`: containers of the pod may be privileged; the pause process never is',
  },
  seccomp: {
    becomes: '`SecurityOpt` `seccomp=…`: see SecurityProfile; nil means the Engine’s default profile',
  },
  apparmor: {
    becomes: '`SecurityOpt` `apparmor=…`: see SecurityProfile',
    except: 'a profile that is not loaded, or a node without AppArmor',
  },
  seccomp_profile_path: { becomes: 'as `seccomp`, which takes precedence' },
};

export const LINUX_CONTAINER_SECURITY_CONTEXT: FieldsOf<cri.ILinuxContainerSecurityContext> = {
  capabilities: {
    becomes: 'see Capability; a privileged container has all capabilities, whatever the request says',
  },
  privileged: {
    becomes:
      '`Privileged`. On a node that lacks a capability this would fail. dockbridge then sets the individual privileges instead: all other capabilities, every device, no masked paths and no profiles (ADR 0012)',
    except: 'true if neither the sandbox nor `sandbox_config` of this request is privileged',
  },
  namespace_options: { becomes: 'see NamespaceOption' },
  selinux_options: { becomes: '`SecurityOpt` `label=…`: see SELinuxOption' },
  run_as_user: {
    becomes: '`User`, as `uid:gid` with the user’s group in the image’s /etc/passwd',
    except: 'not 0 to 2147483647',
  },
  run_as_group: { becomes: '`User`, after the colon', except: 'without `run_as_user` and `run_as_username`' },
  run_as_username: {
    becomes: '`User`, as `uid:gid` of the image’s /etc/passwd',
    except: 'together with `run_as_user`, containing a colon, or not in the image',
  },
  readonly_rootfs: { becomes: '`ReadonlyRootfs`' },
  supplemental_groups: { becomes: '`GroupAdd`' },
  supplemental_groups_policy: {
    becomes:
      '`User` is always `uid:gid`, so the Engine adds none of the image’s groups; with Merge, dockbridge puts them in `GroupAdd`',
    except: 'an unknown number',
  },
  no_new_privs: { becomes: '`SecurityOpt` `no-new-privileges`, even if the value is false' },
  masked_paths: {
    becomes: '`MaskedPaths`; with an empty list, or in a privileged container, nothing is masked',
    except: 'a relative path',
  },
  readonly_paths: {
    becomes: '`ReadonlyPaths`; with an empty list, or in a privileged container, nothing is read-only',
    except: 'a relative path',
  },
  seccomp: { becomes: '`SecurityOpt` `seccomp=…`: see SecurityProfile; nil means unconfined' },
  apparmor: {
    becomes: '`SecurityOpt` `apparmor=…`: see SecurityProfile',
    except: 'a profile that is not loaded, or a node without AppArmor',
  },
  apparmor_profile: { becomes: 'as `apparmor`, which takes precedence' },
  seccomp_profile_path: { becomes: 'as `seccomp`, which takes precedence' },
};

export const CAPABILITY: FieldsOf<cri.ICapability> = {
  add_capabilities: {
    becomes: '`CapAdd`; `ALL` means all capabilities that the node has',
    except: 'an unknown name, or a capability that the node lacks',
  },
  drop_capabilities: { becomes: '`CapDrop`', except: 'an unknown name' },
  add_ambient_capabilities: { refused: 'Docker Engine cannot set ambient capabilities' },
};

export const SECURITY_PROFILE: FieldsOf<cri.ISecurityProfile> = {
  profile_type: { becomes: 'which profile `SecurityOpt` names', except: 'an unknown number' },
  localhost_ref: {
    becomes:
      'AppArmor: the profile’s name; seccomp: the file whose whole text dockbridge passes to the Engine',
    except: 'empty with Localhost; a file that cannot be read or is not a seccomp profile',
  },
};

export const SELINUX_OPTION: FieldsOf<cri.ISELinuxOption> = {
  user: { becomes: '`SecurityOpt` `label=user:…`', except: 'not an SELinux user' },
  role: { becomes: '`SecurityOpt` `label=role:…`', except: 'not an SELinux role' },
  type: { becomes: '`SecurityOpt` `label=type:…`', except: 'not an SELinux type' },
  level: { becomes: '`SecurityOpt` `label=level:…`', except: 'not an SELinux level' },
};

export const NAMESPACE_OPTION: FieldsOf<cri.INamespaceOption> = {
  network: { becomes: '`NetworkMode`', except: 'CONTAINER and TARGET' },
  pid: { becomes: '`PidMode`', except: 'TARGET for a sandbox' },
  ipc: { becomes: '`IpcMode`', except: 'CONTAINER and TARGET' },
  target_id: {
    becomes: '`PidMode` `container:…` with pid TARGET',
    except: 'not a running container of the pod, or set without pid TARGET',
  },
  userns_options: {
    becomes: 'mode NODE: the Engine’s own user namespace, which all containers share',
    except: 'POD: Docker Engine has no user namespace per pod, as Status reports',
  },
};

export const USER_NAMESPACE: FieldsOf<cri.IUserNamespace> = {
  mode: { refused: 'all but NODE: Docker Engine has no user namespace per pod, as Status reports' },
  uids: { refused: 'mode NODE takes no mappings, and POD is refused' },
  gids: { refused: 'mode NODE takes no mappings, and POD is refused' },
};

export const INT64_VALUE: FieldsOf<cri.IInt64Value> = {
  value: { becomes: 'the number of the field that holds it' },
};
