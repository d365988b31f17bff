import { byHand, dropped, lost, planned, row, rowBy, type Outcome, type SettingRow } from '../row';

const CGROUP_DRIVER = 'native.cgroupdriver=';

/** Settings about OCI runtimes, control groups and devices. */
export const RUNTIME_ROWS: readonly SettingRow[] = [
  row(
    'runtimes',
    'runtimes.*.path',
    planned('becomes the BinaryName of a runtime with the same name'),
    planned('becomes the runtime_path of a runtime with the same name, if the plan finds the program'),
  ),
  row(
    'runtimes',
    'runtimes.*.runtimeArgs',
    byHand(
      'has no counterpart, because the target passes no arguments of yours to a runtime',
      'Write a script that calls the runtime with these arguments, and enter its path in the configuration of the target.',
    ),
  ),
  rowBy('runtimes', 'runtimes.*.runtimeType', (value) => {
    if (value === 'io.containerd.runc.v2')
      return [
        planned('becomes the runtime_type of a runtime with the same name'),
        planned('becomes a runtime of type "oci" with the same name'),
      ];
    return [
      planned('becomes the runtime_type of a runtime with the same name'),
      planned(
        'becomes a runtime of type "vm", which CRI-O tests with Kata Containers only, if the plan finds the shim',
        isOfVersion2(value)
          ? 'Test a pod of this runtime class.'
          : 'CRI-O may ignore this runtime: its releases accept only shims whose programs are called containerd-shim-NAME-v2. Test a pod of this runtime class.',
      ),
    ];
  }),
  row(
    'runtimes',
    'runtimes.*.options',
    planned(
      'becomes the options of a runtime with the same name',
      'Compare the options with the documentation of the shim: containerd passes them on unchecked.',
    ),
    byHand(
      'has no counterpart except BinaryName and SystemdCgroup',
      'Write the other options into the configuration file of the runtime (runtime_config_path).',
    ),
  ),
  row(
    'runtimes',
    'default-runtime',
    planned('becomes default_runtime_name'),
    planned('becomes default_runtime'),
  ),
  rowBy('runtimes', 'exec-opts', (value) => {
    const rest = (Array.isArray(value) ? value.map(String) : []).filter(
      (one) => !one.startsWith(CGROUP_DRIVER),
    );
    if (rest.length > 0)
      return lost(
        'has a counterpart for native.cgroupdriver only',
        'Only native.cgroupdriver is known for Linux. Find out what the other options are for.',
      );
    return [planned('becomes SystemdCgroup of every runc-like runtime'), planned('becomes cgroup_manager')];
  }),
  row(
    'runtimes',
    'cgroup-parent',
    dropped('has no counterpart, because the kubelet gives every pod its parent (cgroupRoot)'),
  ),
  rowBy('runtimes', 'default-cgroupns-mode', (value) =>
    value === 'private'
      ? dropped('is what the target does on cgroup v2')
      : lost(
          'has no counterpart',
          'The target gives a container its own cgroup namespace on cgroup v2. Programs that read host paths in /proc/self/cgroup see "/".',
        ),
  ),
  row('runtimes', 'cpu-rt-period', realtime()),
  row('runtimes', 'cpu-rt-runtime', realtime()),
  row('runtimes', 'cdi-spec-dirs', planned('becomes cdi_spec_dirs'), planned('becomes cdi_spec_dirs')),
  row('runtimes', 'features.cdi', dropped('needs no setting: the target always has CDI')),
  row(
    'storage',
    'features.containerd-snapshotter',
    dropped(
      'is what the target does anyway; `dockbridge migrate images` asks the Engine where its images are',
    ),
    dropped('has no effect; `dockbridge migrate images` asks the Engine where its images are'),
  ),
  row('api', 'features.buildkit', dropped('has no effect, because a CRI runtime builds no images')),
  row(
    'containers',
    'features.time-namespaces',
    lost('has no counterpart', 'Containers on the target share the time namespace of the node.'),
  ),
  row('runtimes', 'features.*', unknownFeature()),
  row('runtimes', 'nri-opts.enable', nri()),
  row('runtimes', 'nri-opts.plugin-path', nri()),
  row('runtimes', 'nri-opts.plugin-config-path', nri()),
  row('runtimes', 'nri-opts.socket-path', nri()),
  row('runtimes', 'node-generic-resources', dropped('concerns Swarm only; Kubernetes has device plugins')),
];

function isOfVersion2(type: unknown): boolean {
  return typeof type === 'string' && /[.-]v2$/.test(type);
}

function realtime(): Outcome {
  return lost(
    'has no counterpart',
    'Kubernetes does not hand out real-time CPU time. Move the workload to the static CPU manager policy or to the host.',
  );
}

function unknownFeature(): Outcome {
  return lost('is a switch of Docker Engine without a known counterpart', 'Find out what the switch is for.');
}

function nri(): Outcome {
  return lost(
    'has a counterpart that the plan does not write',
    'NRI is enabled by default in containerd 2 and in CRI-O. Check the paths of your plugins there: /opt/nri/plugins, /etc/nri/conf.d, /var/run/nri/nri.sock.',
  );
}
