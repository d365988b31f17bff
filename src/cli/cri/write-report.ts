import { writeFile } from 'node:fs/promises';

/** Only the owner may read a report, because the CRI messages in it can contain secrets. */
export const REPORT_MODE = 0o600;

/** Writes a report to a file and replaces an earlier report there. @throws the system's error. */
export async function writeReport(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: REPORT_MODE });
}
