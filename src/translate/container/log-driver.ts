/** Drivers whose file is the json-file that CRI logs are made of; '' stands for one that is not known. */
const READABLE = new Set(['json-file', '']);

/**
 * Why there is no CRI log of a container that others made with this log driver.
 * @returns a sentence for the log's place; undefined where the log can be made.
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
