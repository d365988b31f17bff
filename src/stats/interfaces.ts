import type Long from 'long';
import type { InterfaceReading, NetworkReading } from './readings';

/** The name that CNI runtimes and the Engine give a pod's first interface. */
const USUAL_DEFAULT = 'eth0';

/**
 * /proc/<pid>/net/dev: all interfaces of a network namespace; IPv4 and IPv6 are not told apart. Two lines of heading,
 * then `name: rx bytes packets errs drop fifo frame compressed multicast, tx bytes packets errs drop …`.
 */
export function parseNetDev(text: string): InterfaceReading[] {
  return text.split('\n').flatMap((line) => {
    // An alias has a colon in its name.
    const colon = line.lastIndexOf(':');
    const values = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    if (colon === -1 || values.length < 12 || values.some(Number.isNaN)) return [];
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0, , , , , ...tx] = values;
    const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = tx;
    const name = line.slice(0, colon).trim();
    return [{ name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped }];
  });
}

/** CRI wants the default interface and the others apart; loopback is nobody's traffic. */
export function toNetworkReading(all: readonly InterfaceReading[], timestamp: Long): NetworkReading {
  const outside = all.filter(({ name }) => name !== 'lo');
  const defaultInterface = outside.find(({ name }) => name === USUAL_DEFAULT) ?? outside[0];
  return { timestamp, defaultInterface, others: outside.filter((one) => one !== defaultInterface) };
}
