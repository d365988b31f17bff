/**
 * cgroup v1 uses a number near 2^63 for "no limit". Every number from 2^60 on counts as no limit, because no machine has that
 * many bytes.
 */
const UNLIMITED = 2 ** 60;

/**
 * Parses a file that contains one number. Returns undefined when the file is missing or means "no limit": `max`, or v1's large
 * number.
 */
export function limit(text: string | undefined): number | undefined {
  const value = number(text);
  return value === undefined || value >= UNLIMITED ? undefined : value;
}

/** Parses a file that contains one number; undefined for other text. */
export function number(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  return /^\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}
