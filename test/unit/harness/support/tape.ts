import { writeFile } from 'node:fs/promises';
import type { Observation } from '../../../../src/harness/observation';

/** Writes a tape of exactly these calls. */
export async function writeTape(file: string, { runtime, calls }: Observation): Promise<void> {
  const head = {
    ...{ tape: 1, recorded: '2026-11-30T00:00:00Z', by: 'test', redacted: [] },
    upstream: { endpoint: 'unix:///x', runtime_name: runtime.name, runtime_version: runtime.version },
  };
  const lines = calls.flatMap(({ n, t, ms, method, request, status, details, response, messages = [] }) => [
    { n, t, method, api: 'v1', request },
    ...messages.map((message, i) => ({ n, t: t + 0.1, method, i, message })),
    { n, t: t + ms / 1000, method, status, ms, details, response },
  ]);
  const end = { t: 9999, end: true, calls: calls.length, lost: 0 };
  const all = [head, ...lines, end].map((line) => `${JSON.stringify(line)}\n`);
  await writeFile(file, all.join(''));
}
