import { isIPv6 } from 'node:net';

/** Returns an address in the form in which addresses are compared: IPv6 short and in lower case. */
export function canonicalIp(ip: string): string {
  const url = `http://[${ip}]`;
  // A URL cannot hold an address with a zone.
  return isIPv6(ip) && URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : ip;
}
