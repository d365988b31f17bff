/** cgroup v1 says "no limit" with a number near 2^63; no machine has 2^60 bytes. */
const UNLIMITED = 2 ** 60;

/** A file of one number, or undefined: absent, `max`, or v1's way to say unlimited. */
export function limit(text: string | undefined): number | undefined {
  const value = number(text);
  return value === undefined || value >= UNLIMITED ? undefined : value;
}

/** A file of one number. */
export function number(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  return /^\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}
