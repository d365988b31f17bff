import { fieldOfRefusal, fieldOfSandboxRefusal } from '../../../../src/translate/container/engine-refusals';

/** What Engines 20.10 and 28.5 say. */
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
])('%s', (text, field) => {
  expect(fieldOfRefusal(text, 'r', 'c.')).toBe(field);
});

it.each([
  'failed to mount /var/lib/docker/overlay2/1/merged: no space left on device',
  'error creating overlay mount: device or resource busy',
  'the Engine is busy',
])('%s is about no field', (text) => {
  expect(fieldOfRefusal(text, 'r', 'c.')).toBeUndefined();
});

describe('of a sandbox', () => {
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
  ])('%s', (text, field) => {
    expect(fieldOfSandboxRefusal(text)).toBe(field);
  });

  it.each(['No such image: sha256:12', 'network cni not found', 'no space left on device'])(
    '%s is about no field',
    (text) => {
      expect(fieldOfSandboxRefusal(text)).toBeUndefined();
    },
  );
});
