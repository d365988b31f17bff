/** Drivers that write the json-file from which CRI logs are copied; '' stands for an unknown driver. */
const READABLE = new Set(['json-file', '']);

/**
 * Explains why a container that others created with this log driver has no CRI log.
 * @returns a sentence to put in place of the log; undefined if the log can be copied.
 */
export function whyUnreadable(driver: string, id: string): string | undefined {
  if (READABLE.has(driver)) return undefined;
  if (driver === 'none') return 'the Engine discards the output of this container (its log driver is none)';
  const shown = driver.replace(/[^\w./:@-]/g, '?').slice(0, 64);
  return (
    `the output of this container is not here: the Engine gives it to its log driver ${shown}, ` +
    `not json-file; \`docker logs ${id.slice(0, 12)}\` may show it`
  );
}
