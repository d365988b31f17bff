import { isIP, isIPv6 } from 'node:net';
import type { EngineContainerCreate, EngineHostConfig, EnginePortBinding } from '../../engine/types';
import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { Protocol } from '../../proto/enums';
import { oneOf } from '../shared/validate';

const PROTOCOL_NAMES = ['tcp', 'udp', 'sctp'] as const;
const MAX_PORT = 65_535;

export interface EnginePorts {
  readonly ExposedPorts: NonNullable<EngineContainerCreate['ExposedPorts']>;
  readonly PortBindings: Record<string, EnginePortBinding[]>;
}

/** A port of a pod with the node's port that leads to it. A `hostPort` of 0 means none. */
export interface PublishedPort {
  readonly protocol: string;
  readonly containerPort: number;
  readonly hostPort: number;
  /** '' means all addresses of the node. */
  readonly hostIp: string;
}

/** A published port. Its `hostPort` is never 0. */
export interface PodPort {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** '' means all addresses of the node. */
  readonly hostIp: string;
}

/**
 * Converts CRI's port mappings to published ports. A host_port of 0 publishes nothing, in particular no random port.
 * @param everyAddress the addresses to which a mapping without `host_ip` is bound.
 */
export function toEnginePorts(
  mappings: readonly Decoded<cri.IPortMapping>[],
  field: string,
  everyAddress: readonly string[],
): EnginePorts {
  const ports: EnginePorts = { ExposedPorts: {}, PortBindings: {} };
  const taken: (PublishedPort & { readonly at: string })[] = [];
  for (const [index, mapping] of mappings.entries()) {
    const at = `${field}[${index}]`;
    oneOf(
      mapping.protocol,
      [Protocol.TCP, Protocol.UDP, Protocol.SCTP],
      `${at}.protocol`,
      'TCP, UDP or SCTP',
    );
    checkPort(mapping.host_port, `${at}.host_port`, 0);
    if (mapping.host_port === 0) continue;
    checkPort(mapping.container_port, `${at}.container_port`, 1);
    if (mapping.host_ip !== '' && isIP(mapping.host_ip) === 0)
      throw invalidArgument(`${at}.host_ip`, `${JSON.stringify(mapping.host_ip)} is not an IP address`);
    const published = {
      protocol: PROTOCOL_NAMES[mapping.protocol],
      containerPort: mapping.container_port,
      hostPort: mapping.host_port,
      hostIp: mapping.host_ip,
    };
    const rival = taken.find((other) => areRivals(other, published));
    if (rival !== undefined)
      throw invalidArgument(`${at}.host_port`, `${mapping.host_port} is already published by ${rival.at}`);
    taken.push({ ...published, at });
    const key = `${mapping.container_port}/${PROTOCOL_NAMES[mapping.protocol]}`;
    ports.ExposedPorts[key] = {};
    const addresses = mapping.host_ip === '' ? everyAddress : [mapping.host_ip];
    const bindings = addresses.map((HostIp) => ({ HostIp, HostPort: String(mapping.host_port) }));
    (ports.PortBindings[key] ??= []).push(...bindings);
  }
  return ports;
}

/** Whether two mappings use the same port of the same address. Only the network knows whether other combinations work. */
function areRivals(one: PublishedPort, other: PublishedPort): boolean {
  const isSameAddress = canonicalIp(one.hostIp) === canonicalIp(other.hostIp);
  return one.protocol === other.protocol && one.hostPort === other.hostPort && isSameAddress;
}

/** Reads back the published ports as far as the Engine stores them, in no particular order. */
export function fromEnginePorts(bindings: EngineHostConfig['PortBindings']): PodPort[] {
  return Object.entries(bindings ?? {}).flatMap(([key, hosts]) => {
    const [port = '', name = 'tcp'] = key.split('/');
    const protocol = PROTOCOL_NAMES.find((known) => known === name);
    if (protocol === undefined) return [];
    return mergeFamilies(hosts ?? [])
      .map(({ HostIp, HostPort }) => ({
        hostPort: Number(HostPort),
        containerPort: Number(port),
        protocol,
        hostIp: HostIp,
      }))
      .filter(({ hostPort, containerPort }) => isPort(hostPort) && isPort(containerPort));
  });
}

/**
 * Merges the bindings of a port on all addresses of both families (engine-defaults.ts), which was requested without an
 * address.
 */
function mergeFamilies(hosts: readonly EnginePortBinding[]): EnginePortBinding[] {
  const has = (ip: string, { HostPort }: EnginePortBinding): boolean =>
    hosts.some((other) => other.HostIp === ip && other.HostPort === HostPort);
  return hosts
    .filter((host) => !(host.HostIp === '::' && has('0.0.0.0', host)))
    .map((host) => (host.HostIp === '0.0.0.0' && has('::', host) ? { ...host, HostIp: '' } : host));
}

/**
 * Returns the protocol's name as the Engine writes it.
 * @param protocol a protocol that `toEnginePorts` has accepted.
 */
export function protocolName(protocol: Protocol): string {
  return PROTOCOL_NAMES[protocol];
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= MAX_PORT;
}

function checkPort(port: number, field: string, min: number): void {
  if (port < min || port > MAX_PORT)
    throw invalidArgument(field, `${port} is not between ${min} and ${MAX_PORT}`);
}

/** Returns an address in a form that can be compared: IPv6 is shortened and in lower case. */
export function canonicalIp(ip: string): string {
  const url = `http://[${ip}]`;
  // A URL cannot contain an address with a zone, so such an address stays unchanged.
  return isIPv6(ip) && URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : ip;
}
