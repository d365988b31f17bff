import { fieldOfRefusal } from '../../../src/translate/engine-refusals';

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
