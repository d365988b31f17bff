import { BlockList, isIP } from 'node:net';

/** Returns the registries in image names, except docker.io, which is also the registry of a name that names none. */
export function hostsOfImages(images: readonly string[]): string[] {
  const hosts = images.flatMap((image) => {
    const [first = '', rest] = image.split('/', 2);
    return rest !== undefined && (/[.:]/.test(first) || first === 'localhost') ? [first] : [];
  });
  return [...new Set(hosts)].filter((host) => host !== 'docker.io');
}

/** Whether a text is a host with or without a port. Anything else must not become a part of a path. */
export function isRegistryHost(name: string): boolean {
  return /^(\[[\da-f:.]+\]|[a-z\d]([\w.-]*[a-z\d])?)(:\d{1,5})?$/i.test(name);
}

/** Whether a registry that is named by its address, or `localhost`, is in one of the ranges (`10.0.0.0/8`). */
export function inRanges(host: string, ranges: readonly string[]): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const address = name === 'localhost' ? '127.0.0.1' : name;
  if (isIP(address) === 0) return false;
  const list = new BlockList();
  for (const range of ranges) {
    const [net = '', bits = ''] = range.split('/');
    const family = isIP(net);
    if (family !== 0 && Number(bits) <= (family === 6 ? 128 : 32))
      list.addSubnet(net, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
  }
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
