import { isIP } from 'node:net';
import { canonicalIp } from '../../translate/sandbox/ports';
import { isObject, objects, text, type JsonObject } from '../../lib/json';
import { isAtLeast, isKnownVersion, UNNAMED_VERSION, type CniVersion } from './network-config';

/** The result of an ADD, in the shape of its `cniVersion`. */
export type CniResult = JsonObject;

/** Fields that CNI 1.1 added and that older plugins do not know. */
const NEW_IN_1_1 = {
  interfaces: ['mtu', 'socketPath', 'pciID'],
  routes: ['mtu', 'advmss', 'priority', 'table', 'scope'],
} as const;

/**
 * Converts a result to the shape of another version. The plugins of a chain and the readers of the cache expect the version of
 * their configuration.
 */
export function convertResult(result: CniResult, version: CniVersion): CniResult {
  const named = text(result.cniVersion);
  const from = isKnownVersion(named) ? named : named === '' ? version : UNNAMED_VERSION;
  if (from === version) return { ...result, cniVersion: version };
  const { ip4: _ip4, ip6: _ip6, ips: _ips, interfaces, routes, ...rest } = result;
  const addresses = readAddresses(result);
  if (!isAtLeast(version, '0.3.0')) {
    const first = (family: number): JsonObject | undefined => {
      const found = addresses.find(({ address }) => familyOf(address) === family);
      if (found === undefined) return undefined;
      const mine = objects(routes).filter(({ dst }) => familyOf(text(dst)) === family);
      const { address: ip, gateway } = found;
      return {
        ip,
        ...(gateway === undefined ? {} : { gateway }),
        ...(mine.length === 0 ? {} : { routes: mine }),
      };
    };
    const [ip4, ip6] = [first(4), first(6)];
    return {
      ...rest,
      cniVersion: version,
      ...(ip4 === undefined ? {} : { ip4 }),
      ...(ip6 === undefined ? {} : { ip6 }),
    };
  }
  const old = isAtLeast(from, '0.3.0') ? [] : [result.ip4, result.ip6].filter(isObject);
  const allRoutes = old.length === 0 ? routes : old.flatMap((part) => objects(part.routes));
  const keep11 = isAtLeast(version, '1.1.0');
  return {
    ...rest,
    cniVersion: version,
    ...(interfaces === undefined ? {} : { interfaces: keep11 ? interfaces : withoutNew(interfaces) }),
    ips: addresses.map((ip) => {
      const { version: _version, ...body } = ip;
      return isAtLeast(version, '1.0.0') ? body : { version: String(familyOf(ip.address)), ...body };
    }),
    ...(allRoutes === undefined
      ? {}
      : { routes: keep11 ? allRoutes : objects(allRoutes).map(without(NEW_IN_1_1.routes)) }),
  };
}

/**
 * Lists a pod's addresses without prefix length, IPv4 first, in the plugin's order within a family. Plugins may put other
 * interfaces into the pod, but their addresses are not the pod's. So only addresses of `ifName`, and addresses that name no
 * interface, count.
 * @param ifName `CNI_IFNAME` of the call.
 */
export function podIps(result: CniResult, ifName: string): string[] {
  // No element may be removed here, because the indexes in the addresses also count elements that are not objects.
  const listed: readonly unknown[] = Array.isArray(result.interfaces) ? result.interfaces : [];
  const interfaces = objects(listed);
  const inside = interfaces.filter(({ sandbox }) => text(sandbox) !== '');
  const named = inside.filter(({ name }) => name === ifName);
  // Cloud providers' plugins list no interface inside the pod, or list it under another name. Then the addresses of all
  // interfaces inside the pod count or, if none is listed, all addresses.
  const counts = named.length > 0 ? named : inside.length > 0 ? inside : interfaces;
  const own = readAddresses(result).filter((ip) => {
    // The index may be missing or invalid, because older plugins name no interfaces.
    const holder = typeof ip.interface === 'number' ? listed[ip.interface] : undefined;
    return !isObject(holder) || counts.includes(holder);
  });
  const bare = own.map(({ address }) => canonicalIp(address.split('/')[0] ?? '')).filter(isReachable);
  return [...new Set([...bare.filter((ip) => isIP(ip) === 4), ...bare.filter((ip) => isIP(ip) === 6)])];
}

/** Makes a result for an ADD whose own result is lost. Plugins find a pod's rules by the addresses in the result. */
export function resultOf(ips: readonly string[], ifName: string, netns: string): CniResult {
  return {
    cniVersion: '1.0.0',
    interfaces: [{ name: ifName, sandbox: netns }],
    ips: ips.map((ip) => ({ address: `${ip}/${isIP(ip) === 4 ? 32 : 128}`, interface: 0 })),
  };
}

/** Whether the address is not a loopback address. Every pod has loopback addresses. */
function isReachable(ip: string): boolean {
  return isIP(ip) !== 0 && !ip.startsWith('127.') && ip !== '::1';
}

type Address = JsonObject & { readonly address: string };

/** Reads the field `ips` or, in results before version 0.3, the fields `ip4` and `ip6`. */
function readAddresses(result: CniResult): Address[] {
  if (result.ips !== undefined) return objects(result.ips).flatMap((ip) => withAddress(ip, ip.address));
  return [result.ip4, result.ip6]
    .filter(isObject)
    .flatMap(({ ip, gateway }) => withAddress(gateway === undefined ? {} : { gateway }, ip));
}

function withAddress(body: JsonObject, address: unknown): Address[] {
  return typeof address === 'string' ? [{ ...body, address }] : [];
}

function familyOf(cidr: string): number {
  return isIP(cidr.split('/')[0] ?? '');
}

/** Keeps the order of the interfaces, because addresses refer to them by index. */
function withoutNew(interfaces: unknown): unknown {
  const strip = without(NEW_IN_1_1.interfaces);
  return Array.isArray(interfaces)
    ? interfaces.map((one: unknown) => (isObject(one) ? strip(one) : one))
    : interfaces;
}

function without(keys: readonly string[]): (object: JsonObject) => JsonObject {
  return (object) => Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}
