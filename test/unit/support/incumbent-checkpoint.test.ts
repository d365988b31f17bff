import { checkpointChecksum } from '../../integration/support/incumbent/checkpoint';

describe('The checksum of a checkpoint made by hand', () => {
  const port = { protocol: 'tcp', container_port: 80, host_port: 8080, host_ip: '' };

  it.each([
    ['a host port', [port], false, 3_712_672_205],
    ['nothing', [], false, 2_305_795_928],
    ['the host network', [], true, 12_315_789],
  ])('is what cri-dockerd computes for %s', (_, ports, hostNetwork, checksum) => {
    expect(checkpointChecksum(ports, hostNetwork, 'core')).toBe(checksum);
  });
});
