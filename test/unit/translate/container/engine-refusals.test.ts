import {
  explainStartError,
  fieldOfRefusal,
  fieldOfSandboxRefusal,
} from '../../../../src/translate/container/engine-refusals';

/** The error messages of Engines 20.10 to 29, runc 1.0 to 1.5, crun from 1.8 on, gVisor and Kata. */
const SHIM = 'failed to create shim task: OCI runtime create failed: ';
const NEWER = `failed to create task for container: ${SHIM}`;
const RUNC = 'runc create failed: unable to start container process: ';
const OLD_RUNC = 'container_linux.go:380: starting container process caused: ';
const NO_LOG = 'unable to retrieve OCI runtime error (open /run/x/log.json: no such file or directory): ';

describe('the message of a failed start', () => {
  it.each([
    [
      `${SHIM}${RUNC}exec: "/no/such": stat /no/such: no such file or directory: unknown`,
      'command not found: "/no/such" is',
    ],
    [
      `${NEWER}${RUNC}exec: "nosuch": executable file not found in $PATH`,
      'command not found: "nosuch" is not in the image',
    ],
    [
      `${SHIM}executable file \`nosuch\` not found in $PATH: No such file or directory: unknown`,
      'command not found: "nosuch"',
    ],
    [
      `${SHIM}${RUNC}exec: "/etc/passwd": permission denied: unknown`,
      'permission denied: "/etc/passwd" is not executable',
    ],
    [`${SHIM}open executable: Permission denied: unknown`, 'permission denied: the command'],
    [
      `${NEWER}${RUNC}exec: "/bin/arm": exec format error`,
      '"/bin/arm" is not a program for this kind of machine',
    ],
    [
      'invalid mount config for type "bind": bind source path does not exist: /gone',
      'mount source missing: "/gone" does',
    ],
    [
      `${SHIM}${RUNC}error during container init: error mounting "/a" to rootfs at "/b": stat /a: no such file or directory: unknown`,
      'mount source missing: "/a" does not exist',
    ],
    [
      `${SHIM}${RUNC}error during container init: error mounting "/a" to rootfs at "/b": mount /a:/b (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file`,
      'cannot mount "/a" on "/b": one is a directory',
    ],
    [`${SHIM}mount \`/a\` to \`b\`: Not a directory: unknown`, 'cannot mount "/a" on "b"'],
    [
      'cannot access path /x/merged/absent: lstat /x/merged/absent: no such file or directory',
      'the sub-path of an image',
    ],
    [
      'path /a is mounted on / but it is not a shared mount',
      'mount propagation: "/a" is not on a shared mount',
    ],
    ['unable to find user nobody2: no matching entries in passwd file', 'user "nobody2" is not in'],
    ['unable to find group g: no matching entries in group file', 'group "g" is not in'],
    [
      'error gathering device information while adding custom device "/dev/absent": no such file',
      'device missing: "/dev/absent"',
    ],
    [
      'CDI device injection failed: unresolvable CDI devices vendor.com/gpu=0',
      'CDI device unknown: no specification on the node names vendor.com/gpu=0',
    ],
    [
      `${SHIM}${RUNC}error during container init: open /proc/sys/net/nope: no such file or directory: unknown`,
      'sysctl unknown: net.nope',
    ],
    [
      'failed to start shim: failed to resolve runtime path: runtime "io.containerd.runsc.v1" binary not installed "containerd-shim-runsc-v1": file does not exist',
      'runtime "io.containerd.runsc.v1" is not installed: dockerd finds no containerd-shim-runsc-v1',
    ],
    [
      `OCI runtime create failed: ${OLD_RUNC}exec: "nosuch": executable file not found in $PATH: unknown`,
      'command not found: "nosuch" is not in the image',
    ],
    [
      `${NEWER}${RUNC}error during container init: exec: "nosuch": executable file not found in $PATH`,
      'command not found: "nosuch" is not in the image',
    ],
    [
      `OCI runtime create failed: ${OLD_RUNC}process_linux.go:545: container init caused: rootfs_linux.go:76: mounting "/a" to rootfs at "/b" caused: mount through procfd: not a directory: unknown`,
      'cannot mount "/a" on "/b": one is a directory',
    ],
    [
      `${SHIM}${RUNC}error during container init: error mounting "/a" to rootfs at "/etc/passwd/x": create mountpoint for /etc/passwd/x mount: cannot create subdirectories in "/merged/etc/passwd": not a directory: unknown`,
      'cannot mount "/a" on "/etc/passwd/x": a part of that path is a file',
    ],
    [
      `OCI runtime create failed: ${RUNC}error during container init: error mounting "/a" to rootfs at "/etc/passwd/x": open o_path procfd: open /merged/etc/passwd/x: not a directory: Are you trying to mount a directory onto a file`,
      'cannot mount "/a" on "/etc/passwd/x": a part of that path is a file',
    ],
    [`${SHIM}open \`/proc/sys/net/nope\`: No such file or directory: unknown`, 'sysctl unknown: net.nope'],
    [
      `${SHIM}${NO_LOG}exec: "crun": executable file not found in $PATH: unknown`,
      'the OCI runtime is not installed: the node has no "crun"',
    ],
    [
      `${SHIM}${NO_LOG}fork/exec /opt/crun: no such file or directory: unknown`,
      'the OCI runtime is not installed: the node has no "/opt/crun"',
    ],
    [
      'AppArmor enabled on system but the docker-default profile could not be loaded: running `apparmor_parser apparmor_parser --version` failed with output: \nerror: exec: "apparmor_parser": executable file not found in $PATH',
      'the node lacks apparmor_parser: install its AppArmor tools',
    ],
    [
      'driver failed programming external connectivity on endpoint k8s_POD (1a): exec: "docker-proxy": executable file not found in $PATH',
      'the node lacks "docker-proxy", which the Engine',
    ],
    ['exec: "docker-init": executable file not found in $PATH', 'the node lacks "docker-init"'],
    [
      `${SHIM}${RUNC}error during container init: error running hook #0: error running prestart hook #0: fork/exec /usr/bin/nvidia-container-runtime-hook: no such file or directory: unknown`,
      'the node lacks "/usr/bin/nvidia-container-runtime-hook"',
    ],
    [
      'failed to start shim: start failed: exec: "containerd-shim-runc-v2": executable file not found in $PATH: unknown',
      'the node lacks "containerd-shim-runc-v2"',
    ],
    [
      `${NEWER}${RUNC}exec: "/data": is a directory: unknown: permission denied`,
      'not a program: "/data" is a directory',
    ],
    [`${SHIM}${RUNC}exec: "": executable file not found in $PATH: unknown`, 'command not found: "" is not'],
    [
      `${NEWER}${RUNC}exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory`,
      'command not found: "/etc/passwd/x" is not in the image',
    ],
    [
      `${SHIM}the path \`/etc/passwd\` exists but it is not executable: Operation not permitted: unknown`,
      'permission denied: "/etc/passwd" is not executable',
    ],
    [
      `${SHIM}the path \`/etc\` is not a regular file: Operation not permitted: unknown`,
      'not a program: "/etc" is not a regular file',
    ],
    [
      `${NEWER}${RUNC}error during container init: chdir to cwd ("/root") set in config.json failed: permission denied`,
      'cannot enter the working directory "/root": permission denied, see config.working_dir (',
    ],
    [
      `${SHIM}chdir \`/root\`: Permission denied: unknown`,
      'cannot enter the working directory "/root": permission denied, see config.working_dir (',
    ],
    [`${SHIM}chdir to \`/root\`: Permission denied: unknown`, 'cannot enter the working directory "/root"'],
    [`${SHIM}open /proc/sys/net/nope: No such file or directory: unknown`, 'sysctl unknown: net.nope'],
    [
      `${NEWER}${RUNC}error during container init: write /proc/sys/net/a/b: invalid argument: unknown`,
      'sysctl refused: the kernel does not accept that value for net.a.b',
    ],
    [
      `${NEWER}${RUNC}error during container init: open sysctl net.a.b file: unsafe procfs detected: openat2 fsmount:fscontext:proc/./sys/net/a/b: no such file or directory: unknown`,
      'sysctl unknown: net.a.b, see config.linux.sysctls (',
    ],
    [
      `${NEWER}${RUNC}error during container init: failed to write sysctl net.a.b = "\\n": write fsmount:fscontext:proc/./sys/net/a/b: invalid argument: unknown`,
      'sysctl refused: the kernel does not accept that value for net.a.b, see config.linux.sysctls (',
    ],
    [
      `${SHIM}write to /proc/sys/net/a/b: Invalid argument: unknown`,
      'sysctl refused: the kernel does not accept that value for net.a.b',
    ],
    [
      `${SHIM}write to \`/proc/sys/net/a/b\` (maximum value: 5): Invalid argument: unknown`,
      'sysctl refused: the kernel does not accept that value for net.a.b',
    ],
    [
      `${SHIM}the sysctl \`vm.swappiness\` is not namespaced: unknown`,
      'sysctl refused: vm.swappiness is shared with the node',
    ],
    [
      `${SHIM}the sysctl \`net.core.somaxconn\` requires a new network namespace: unknown`,
      'sysctl refused: net.core.somaxconn is shared with the node',
    ],
    [
      'failed to set up container networking: driver failed programming external connectivity on endpoint k8s_POD (1a): failed to bind host port for 0.0.0.0:80:172.17.0.2:8080/tcp: address already in use',
      'host port taken: a process of the node uses 0.0.0.0:80,',
    ],
    [
      'failed to set up container networking: driver failed programming external connectivity on endpoint k8s_POD (1a): failed to bind host port 0.0.0.0:80/tcp: address already in use',
      'host port taken: a process of the node uses 0.0.0.0:80,',
    ],
    [
      'driver failed programming external connectivity on endpoint k8s_POD (1a): failed to bind host port [fd00:1::9]:80/tcp: cannot assign requested address',
      'host address unknown: the node does not have the address in [fd00:1::9]:80,',
    ],
    [
      `${SHIM}creating container: starting root container: error finding executable "nosuch" in PATH [/bin]: no such file or directory: unknown`,
      'command not found: "nosuch" is not in the image',
    ],
    [
      'failed to create shim task: the file nosuch was not found: unknown',
      'command not found: "nosuch" is not in the image',
    ],
    [
      'path /a b is mounted on / but it is not a shared mount',
      'mount propagation: "/a b" is not on a shared',
    ],
    [
      `${NEWER}${RUNC}container init was OOM-killed (memory limit too low?)`,
      'out of memory: the memory limit is too low',
    ],
    [`${SHIM}OOM: the memory limit could be too low: unknown`, 'out of memory: the memory limit is too low'],
  ])('for the text "%s" begins with: %s', (text, meaning) => {
    const told = explainStartError(text);
    expect(told.startsWith(meaning)).toBe(true);
    // The Engine's own text stays, so that people can search for it.
    expect(told).toMatch(/ \([^]+\)$/);
    expect(told).toContain(text.replace(/^.*shim task: /, '').replace(/: unknown$/, ''));
    expect(told).not.toContain('shim task');
  });

  it('keeps an unknown text, except for the words that every failure has', () => {
    expect(explainStartError('a new trouble')).toBe('a new trouble');
    expect(explainStartError(`${NEWER}unknown version specified: unknown`)).toBe(
      'OCI runtime create failed: unknown version specified',
    );
    // None of these texts is about the image, the programs of the node or the sysctls of the pod.
    for (const other of [
      'failed to set up network: open /proc/sys/net/ipv6/conf/eth0/disable_ipv6: no such file or directory',
      'failed to set up network: write /proc/sys/net/ipv6/conf/eth0/disable_ipv6: invalid argument',
      `OCI runtime create failed: ${RUNC}error during container init: error mounting "proc" to rootfs at "/proc": no such file or directory`,
      `OCI runtime create failed: ${RUNC}error during container init: error mounting "/a" to rootfs at "/b": create mountpoint for /b mount: openat /b: no such file or directory`,
    ])
      expect(explainStartError(other)).toBe(other);
    expect(explainStartError('')).toBe('');
  });
});

/** The error messages of Engines 20.10 and 28.5. */
it.each([
  ['Invalid value 9999 for cpuset cpus: value of out range, maximum is 8192', 'r.cpuset_cpus'],
  ['Requested CPUs are not available - requested 4095, available: 0-1', 'r.cpuset_cpus'],
  ['Requested memory nodes are not available - requested 99, available: 0', 'r.cpuset_mems'],
  ['Minimum memory limit allowed is 6MB', 'r.memory_limit_in_bytes'],
  ['Minimum memoryswap limit should be larger than memory limit, see usage', 'r.memory_swap_limit_in_bytes'],
  ['CPU cfs quota can not be less than 1ms (i.e. 1000)', 'r.cpu_quota'],
  ['CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)', 'r.cpu_period'],
  ['Cannot mkdir: /etc/passwd is not a directory', 'c.working_dir'],
  ['Duplicate mount point: /data/', 'c.mounts'],
  ['invalid mount config for type "bind": field Source must not be empty', 'c.mounts'],
])('%s is blamed on the field %s', (text, field) => {
  expect(fieldOfRefusal(text, 'r', 'c.')).toBe(field);
});

it.each([
  'failed to mount /var/lib/docker/overlay2/1/merged: no space left on device',
  'error creating overlay mount: device or resource busy',
  'the Engine is busy',
])('%s is blamed on no field', (text) => {
  expect(fieldOfRefusal(text, 'r', 'c.')).toBeUndefined();
});

describe('the refusal of a sandbox', () => {
  it.each([
    ['Unknown runtime specified kata', 'runtime_handler'],
    ['unknown or invalid runtime name: kata', 'runtime_handler'],
    ['invalid hostname format: a b', 'config.hostname'],
    ['conflicting options: hostname and the network mode', 'config.hostname'],
    [
      'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"',
      'config.linux.cgroup_parent',
    ],
    ["invalid sysctl 'net.x': invalid argument", 'config.linux.sysctls'],
    ['unable to determine interface name in sysctl net.ipv4.conf', 'config.linux.sysctls'],
    ['Invalid containerPort: http', 'config.port_mappings'],
    ['invalid port specification: "80/http"', 'config.port_mappings'],
    ['invalid port bindings: invalid IP address', 'config.port_mappings'],
    ['nope is not an ip address', 'config.dns_config'],
    ['decoding seccomp profile failed: invalid character', 'config.linux.security_context.seccomp'],
    ['invalid --security-opt 2: "label:nope"', 'config.linux.security_context.selinux_options'],
  ])('with %s is blamed on the field %s', (text, field) => {
    expect(fieldOfSandboxRefusal(text)).toBe(field);
  });

  it.each(['No such image: sha256:12', 'network cni not found', 'no space left on device'])(
    'with %s is blamed on no field',
    (text) => {
      expect(fieldOfSandboxRefusal(text)).toBeUndefined();
    },
  );
});
