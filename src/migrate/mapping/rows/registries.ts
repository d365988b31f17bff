import { byHand, dropped, lost, planned, row, rowBy, type SettingRow } from '../row';

/** Whether an entry of insecure-registries is a range of addresses instead of a host. */
export function isAddressRange(entry: string): boolean {
  return /^[\da-f.:]+\/\d{1,3}$/i.test(entry);
}

const proxy = planned('becomes an environment variable in a systemd drop-in of the target');

/** Settings about pulling images. */
export const REGISTRY_ROWS: readonly SettingRow[] = [
  row(
    'registries',
    'registry-mirrors',
    planned('becomes /etc/containerd/certs.d/docker.io/hosts.toml'),
    planned('becomes mirrors of docker.io in /etc/containers/registries.conf.d'),
  ),
  rowBy('registries', 'insecure-registries', (value) => {
    const entries = Array.isArray(value) ? value.map(String) : [];
    if (!entries.some(isAddressRange))
      return [
        planned('becomes a hosts.toml for each registry in /etc/containerd/certs.d'),
        planned('becomes insecure registries in /etc/containers/registries.conf.d'),
      ];
    return {
      ...byHand(
        'becomes one entry for each registry, because the target knows no ranges of addresses',
        'The plan writes entries for the hosts, and for the registries in these ranges that images of this node name by address. ' +
          'Write the other registries of the ranges into insecure-registries by name, and plan again.',
      ),
      isPlanned: entries.some((entry) => !isAddressRange(entry)),
    };
  }),
  row(
    'registries',
    'allow-nondistributable-artifacts',
    dropped('has no effect, because a CRI runtime pushes no images'),
  ),
  row('registries', 'proxies.http-proxy', proxy),
  row('registries', 'proxies.https-proxy', proxy),
  row('registries', 'proxies.no-proxy', proxy),
  row(
    'registries',
    'max-concurrent-downloads',
    planned('becomes max_concurrent_downloads of the transfer plugin'),
    lost(
      'has no counterpart',
      'CRI-O chooses the number of parallel downloads. The kubelet limits parallel pulls with maxParallelImagePulls.',
    ),
  ),
  row(
    'registries',
    'max-concurrent-uploads',
    dropped('has no effect, because a CRI runtime pushes no images'),
  ),
  row(
    'registries',
    'max-download-attempts',
    dropped('has no counterpart, because the kubelet repeats a failed pull'),
  ),
];
