import { isIPv6 } from 'node:net';

/** An address in the one form that all who compare addresses write: IPv6 short and in small letters. */
export function canonicalIp(ip: string): string {
  const url = `http://[${ip}]`;
  // Not with a zone, which no URL takes.
  return isIPv6(ip) && URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : ip;
}
