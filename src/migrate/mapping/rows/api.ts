import { byHand, dropped, lost, row, rowBy, type Outcome, type SettingRow } from '../row';

const API_IS_GONE = 'has no counterpart, because the target has no Engine API';

const TLS = dropped('protects the TCP socket of the Engine API, which the target does not have');

const SWARM = dropped('concerns Swarm only');

const BUILDS: Outcome = lost(
  'has no counterpart, because a CRI runtime builds no images',
  'Build images elsewhere: with BuildKit, Buildah or Kaniko in a pod, or outside the cluster.',
);

/** Settings about the Engine's API, its process, Swarm and builds. */
export const API_ROWS: readonly SettingRow[] = [
  rowBy('api', 'hosts', (value) => {
    const hosts = (Array.isArray(value) ? value.map(String) : []).filter((host) => host.startsWith('tcp:'));
    if (hosts.length === 0)
      return dropped('names local sockets of the Engine API, which the target does not have');
    return {
      ...byHand(API_IS_GONE, 'Find out who uses the API over TCP. Whoever does loses it with the migration.'),
      severity: 'block',
    };
  }),
  row('api', 'authorization-plugins', {
    ...byHand(
      API_IS_GONE,
      'Find out what the plugin enforces. Use admission control of the cluster for the same, and accept the loss with --accept.',
    ),
    severity: 'block',
  }),
  ...['tls', 'tlsverify', 'tlscacert', 'tlscert', 'tlskey'].map((key) => row('api', key, TLS)),
  row('api', 'api-cors-header', dropped(API_IS_GONE)),
  row('api', 'min-api-version', dropped(API_IS_GONE)),
  row(
    'api',
    'group',
    lost(API_IS_GONE, 'Members of the group lose access to containers of this node. crictl needs root.'),
  ),
  row('api', 'pidfile', dropped('is a file of dockerd only')),
  row('api', 'experimental', lost('has no counterpart', 'Find out which experimental features were in use.')),
  row('api', 'labels', lost('has no counterpart', 'Set labels on the Node object of the cluster.')),
  row('api', 'shutdown-timeout', dropped('concerns the end of dockerd only')),
  row('api', 'deprecated-key-path', dropped('has no effect in current Engines either')),
  ...[
    'swarm-default-advertise-addr',
    'swarm-raft-heartbeat-tick',
    'swarm-raft-election-tick',
    'cluster-store',
    'cluster-store-opts',
    'cluster-advertise',
  ].map((key) => row('api', key, SWARM)),
  ...[
    'builder.gc',
    'builder.gc.*',
    'builder.entitlements',
    'builder.entitlements.*',
    'builder.history',
    'builder.history.*',
  ].map((key) => row('api', key, BUILDS)),
];
