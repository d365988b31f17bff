// Prints the daemon.json of a test's Engine.
//
//   daemon-json.mjs DIRECTORY [ENGINE] [full|guest]   ENGINE as in engine-version.sh, MODE as in engine.sh
//
// DOCKBRIDGE_TEST_HOSTILE=1 adds every default of dockerd that contradicts a pod's request, or that affects a pod without a
// request. DOCKBRIDGE_TEST_DAEMON_JSON is a JSON object of more keys, which override the others; its runtimes are added.
// The files that the keys name are written to DIRECTORY.
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, engine = '', mode = 'full'] = process.argv.slice(2);

/**
 * Returns the keys that an Engine version needs: some versions have CDI only when it is switched on, and
 * the caller has chosen the image store.
 */
function needed() {
  if (engine === '' || engine === '20.10') return {};
  const features = { cdi: true };
  if (engine.endsWith('-containerd')) features['containerd-snapshotter'] = true;
  if (engine.endsWith('-graphdriver')) features['containerd-snapshotter'] = false;
  return { features };
}

/**
 * Returns the keys of a hostile Engine. These keys are missing on purpose:
 * - cpu-rt-*: few kernels have real-time scheduling in cgroups.
 * - selinux-enabled and apparmor-profile: the kernels of CI have neither.
 * - userns-remap: it changes the layout of all images and has a test of its own.
 * - max-buffer-size in log-opts: no request can override it, and with it Engines before 23 lose the last
 *   write of a container that ends at once, even for `docker run` (moby/moby#42316, seen in 6 of 1,200
 *   containers of 20.10). hostile-engine.test.ts adds it.
 * - iptables and firewall-backend: a guest has none.
 * - bridge, bip, fixed-cidr, default-gateway and default-address-pools: several Engines share the machine's
 *   addresses, and tests without CNI need the Engine's network.
 * - ip-forward: it affects the whole machine.
 * - allow-direct-routing: it affects the callers of a pod, not the pod.
 * - authorization-plugins: such a program may refuse everything.
 * - live-restore and experimental: tests choose them.
 * - keys about storage, pulls and the API: they do not affect pods.
 */
function hostile() {
  const major = Number(/^\d+/.exec(engine === '' ? '20.10' : engine)?.[0]);
  const cgroup2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
  return {
    init: true,
    'no-new-privileges': true,
    'default-shm-size': '8m',
    'default-ipc-mode': 'private',
    // This value is wrong on purpose: CRI wants a cgroup namespace for each container only on cgroup v2.
    'default-cgroupns-mode': cgroup2 ? 'host' : 'private',
    'default-ulimits': {
      nofile: { Name: 'nofile', Soft: 1000, Hard: 4000 },
      core: { Name: 'core', Soft: 0, Hard: 0 },
    },
    'default-runtime': 'hostile-runc',
    runtimes: {
      'hostile-runc': { path: execFileSync('which', ['runc'], { encoding: 'utf8' }).trim() },
    },
    'seccomp-profile': seccompProfile(),
    'cgroup-parent': '/dockbridge-hostile',
    'log-driver': 'json-file',
    'log-opts': {
      mode: 'non-blocking',
      'max-size': '10k',
      'max-file': '9',
      compress: 'true',
      labels: 'app',
      'labels-regex': '.*',
      env: 'COLOUR',
      'env-regex': '.*',
      tag: '{{.Name}}',
    },
    ip: '127.0.0.1',
    mtu: 1280,
    dns: ['192.0.2.53'],
    'dns-search': ['hostile.example'],
    'dns-opts': ['ndots:9'],
    labels: ['hostile=true'],
    'shutdown-timeout': 1,
    // A guest has no iptables, which these keys need.
    ...(mode === 'full' ? { icc: false, 'userland-proxy': false, 'ip-masq': false } : {}),
    ...(major < 24 ? { 'oom-score-adjust': -100 } : {}),
    // Later Engines have the key host-gateway-ips, a list.
    ...(major < 28 ? { 'host-gateway-ip': '192.0.2.1' } : {}),
    ...(major >= 24
      ? { 'default-network-opts': { bridge: { 'com.docker.network.driver.mtu': '1270' } } }
      : {}),
    ...(major >= 29 ? { 'default-stop-timeout': 1 } : {}),
  };
}

/**
 * Writes a seccomp profile that forbids some calls, and returns its path. An unconfined pod may make these
 * calls all the same.
 */
function seccompProfile() {
  const path = join(directory, 'hostile-seccomp.json');
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      {
        names: ['acct', 'swapon', 'swapoff', 'settimeofday', 'unshare', 'setns', 'mount', 'umount2'],
        action: 'SCMP_ACT_ERRNO',
      },
    ],
  };
  writeFileSync(path, JSON.stringify(profile));
  return path;
}

const base = { ...needed(), ...(process.env.DOCKBRIDGE_TEST_HOSTILE === '1' ? hostile() : {}) };
const more = JSON.parse(process.env.DOCKBRIDGE_TEST_DAEMON_JSON || '{}');
const all = { ...base, ...more };
if (base.runtimes && more.runtimes) all.runtimes = { ...base.runtimes, ...more.runtimes };
console.log(JSON.stringify(all));
