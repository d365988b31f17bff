import { checkpointChecksum } from '../../integration/support/incumbent/checkpoint';

describe('the checksum of a handmade checkpoint', () => {
  const port = { protocol: 'tcp', container_port: 80, host_port: 8080, host_ip: '' };

  it.each([
    ['host ports', [port], false, 3_712_672_205],
    ['nothing', [], false, 2_305_795_928],
    ['a pod on the host network', [], true, 12_315_789],
  ])("equals cri-dockerd's for %s", (_, ports, hostNetwork, checksum) => {
    expect(checkpointChecksum(ports, hostNetwork, 'core')).toBe(checksum);
  });
});
