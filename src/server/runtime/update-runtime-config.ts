import { isIP } from 'node:net';
import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { Services } from '../services';

/**
 * Stores the node's pod CIDR: one, or two separated by a comma on dual-stack nodes. An absent message changes nothing.
 */
export function updateRuntimeConfig(
  { store, network }: Services,
  request: Decoded<cri.IUpdateRuntimeConfigRequest>,
): Promise<cri.IUpdateRuntimeConfigResponse> {
  const podCidr = request.runtime_config?.network_config?.pod_cidr ?? '';
  for (const cidr of podCidr === '' ? [] : podCidr.split(',')) {
    if (!isCidr(cidr.trim())) {
      throw invalidArgument(
        'runtime_config.network_config.pod_cidr',
        `${JSON.stringify(cidr)} is not a CIDR like 10.244.0.0/24`,
      );
    }
  }
  if (podCidr !== '') {
    store.podCidr = podCidr;
    network.setPodCidr(podCidr);
  }
  return Promise.resolve({});
}

function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const family = isIP(address);
  return (
    family !== 0 &&
    rest.length === 0 &&
    /^\d{1,3}$/.test(length) &&
    Number(length) <= (family === 4 ? 32 : 128)
  );
}
