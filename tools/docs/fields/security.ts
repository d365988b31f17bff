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
    becomes: 'Strict: a group in `User`, with which the Engine adds none of the image’s',
    except: 'an unknown number',
  },
  privileged: {
    becomes: 'label `io.dockbridge.cri`: containers of the pod may be privileged; the pause process never is',
  },
  seccomp: { becomes: '`SecurityOpt` `seccomp=…`: see SecurityProfile; nil is the Engine’s default profile' },
  apparmor: {
    becomes: '`SecurityOpt` `apparmor=…`: see SecurityProfile',
    except: 'a profile that is not loaded, or a node without AppArmor',
  },
  seccomp_profile_path: { becomes: 'as `seccomp`, which wins' },
};

export const LINUX_CONTAINER_SECURITY_CONTEXT: FieldsOf<cri.ILinuxContainerSecurityContext> = {
  capabilities: { becomes: 'see Capability; a privileged container has all, whatever is asked' },
  privileged: {
    becomes:
      '`Privileged`. On a node that lacks a capability this would fail, so dockbridge sets all other capabilities, every device, no mask and no profile one by one (ADR 0012)',
    except: 'in a pod that is privileged neither by its sandbox nor by `sandbox_config` of this request',
  },
  namespace_options: { becomes: 'see NamespaceOption' },
  selinux_options: { becomes: '`SecurityOpt` `label=…`: see SELinuxOption' },
  run_as_user: {
    becomes: '`User`, as `uid:gid` with the group that the image’s /etc/passwd has for it',
    except: 'not 0 to 2147483647',
  },
  run_as_group: { becomes: '`User`, after the colon', except: 'without `run_as_user` and `run_as_username`' },
  run_as_username: {
    becomes: '`User`, as `uid:gid` of the image’s /etc/passwd',
    except: 'beside `run_as_user`, with a colon, or not in the image',
  },
  readonly_rootfs: { becomes: '`ReadonlyRootfs`' },
  supplemental_groups: { becomes: '`GroupAdd`' },
  supplemental_groups_policy: {
    becomes:
      '`User` always as `uid:gid`, with which the Engine adds none of the image’s groups; Merge: they are in `GroupAdd`',
    except: 'an unknown number',
  },
  no_new_privs: { becomes: '`SecurityOpt` `no-new-privileges`, also when it is false' },
  masked_paths: {
    becomes: '`MaskedPaths`; an empty list masks nothing, nor does a privileged container',
    except: 'a relative path',
  },
  readonly_paths: {
    becomes: '`ReadonlyPaths`; an empty list protects nothing, nor does a privileged container',
    except: 'a relative path',
  },
  seccomp: { becomes: '`SecurityOpt` `seccomp=…`: see SecurityProfile; nil is unconfined' },
  apparmor: {
    becomes: '`SecurityOpt` `apparmor=…`: see SecurityProfile',
    except: 'a profile that is not loaded, or a node without AppArmor',
  },
  apparmor_profile: { becomes: 'as `apparmor`, which wins' },
  seccomp_profile_path: { becomes: 'as `seccomp`, which wins' },
};

export const CAPABILITY: FieldsOf<cri.ICapability> = {
  add_capabilities: {
    becomes: '`CapAdd`; `ALL` is all that the node has',
    except: 'an unknown name, or a capability that the node lacks',
  },
  drop_capabilities: { becomes: '`CapDrop`', except: 'an unknown name' },
  add_ambient_capabilities: { refused: 'Docker Engine cannot set ambient capabilities' },
};

export const SECURITY_PROFILE: FieldsOf<cri.ISecurityProfile> = {
  profile_type: { becomes: 'which profile `SecurityOpt` names', except: 'an unknown number' },
  localhost_ref: {
    becomes: 'AppArmor: the profile’s name; seccomp: the file whose text the Engine is given whole',
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
    except: 'no running container of the pod; without pid TARGET',
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
