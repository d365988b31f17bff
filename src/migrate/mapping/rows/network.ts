import { byHand, dropped, lost, row, rowBy, type Outcome, type SettingRow } from '../row';

const DOCKER_NETWORKS = dropped(
  "concerns Docker's own networks only; pods get their network from CNI plugins",
);

const POD_DNS = lost(
  'has no effect on pods: the kubelet writes their resolv.conf',
  "Compare with the kubelet's clusterDNS, clusterDomain and resolvConf if pods with dnsPolicy Default relied on the setting.",
);

/** Keys that concern Docker's own networks and nothing else. */
const DOCKER_NETWORK_KEYS: readonly string[] = [
  'allow-direct-routing',
  'bip',
  'bip6',
  'bridge',
  'bridge-accept-fwmark',
  'default-address-pools',
  'default-gateway',
  'default-gateway-v6',
  'default-network-opts.*.*',
  'firewall-backend',
  'fixed-cidr',
  'fixed-cidr-v6',
  'host-gateway-ip',
  'host-gateway-ips',
  'icc',
  'ip-masq',
  'ip6tables',
  'iptables',
  'ipv6',
  'network-control-plane-mtu',
  'userland-proxy',
  'userland-proxy-path',
];

/** Settings about networks. */
export const NETWORK_ROWS: readonly SettingRow[] = [
  ...DOCKER_NETWORK_KEYS.map((key) => row('network', key, DOCKER_NETWORKS)),
  row('network', 'dns', POD_DNS),
  row('network', 'dns-opts', POD_DNS),
  row('network', 'dns-search', POD_DNS),
  row('network', 'resolv-conf', POD_DNS),
  row(
    'network',
    'mtu',
    lost(
      'has no effect on pods: their network plugin chooses the MTU',
      'Compare it with the mtu of the CNI configuration.',
    ),
  ),
  rowBy('network', 'ip', (value) => hostAddress(value)),
  rowBy('network', 'ip-forward', (value) =>
    value === false
      ? dropped('is the default of the target, which leaves forwarding alone')
      : byHand(
          'has no counterpart, because the target leaves forwarding alone',
          'Keep net.ipv4.ip_forward=1 in /etc/sysctl.d: dockerd does not set it after the next boot.',
        ),
  ),
  row(
    'network',
    'ip-forward-no-drop',
    dropped('is what the target does: no runtime changes the policy of the FORWARD chain'),
  ),
];

function hostAddress(value: unknown): Outcome {
  if (value === '0.0.0.0' || value === '::') return dropped('is what a host port does, too');
  return lost(
    'has no counterpart for the whole node',
    'Host ports of pods listen on all addresses of the node. Set hostIP at each port.',
  );
}
