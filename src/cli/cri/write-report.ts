import { writeFile } from 'node:fs/promises';

/** Reports quote messages of CRI, in which secrets can be, so only their owner may read them. */
export const REPORT_MODE = 0o600;

/** Writes a report beside the one that was printed; an earlier one is replaced. @throws the system's error. */
export async function writeReport(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: REPORT_MODE });
}
