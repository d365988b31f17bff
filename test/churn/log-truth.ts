import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { engineBytes } from '../integration/support/engine';
import { expectedLines, type ContainerPlan } from './plan';

/** The lines of each stream, in order. */
export interface StreamLines {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

const FRAME_HEADER = 8;

/** Returns the part of a container's output that the Engine has kept. */
export async function engineLog(dockerHost: string, id: string): Promise<StreamLines> {
  const bytes = await engineBytes(dockerHost, `/containers/${id}/logs?stdout=1&stderr=1`);
  const texts = { stdout: '', stderr: '' };
  for (let at = 0; at + FRAME_HEADER <= bytes.length;) {
    const length = bytes.readUInt32BE(at + 4);
    const stream = bytes[at] === 2 ? 'stderr' : 'stdout';
    texts[stream] += bytes.subarray(at + FRAME_HEADER, at + FRAME_HEADER + length).toString('utf8');
    at += FRAME_HEADER + length;
  }
  return { stdout: linesOf(texts.stdout), stderr: linesOf(texts.stderr) };
}

/** Returns the lines of the CRI log, with the rotated files first. */
export async function criLog(path: string): Promise<StreamLines> {
  const names = await readdir(dirname(path)).catch(() => []);
  const rotated = names.filter((name) => name.startsWith(`${basename(path)}.`)).sort();
  const lines = { stdout: [] as string[], stderr: [] as string[] };
  for (const file of [...rotated.map((name) => join(dirname(path), name)), path]) {
    for (const line of linesOf(await readFile(file, 'utf8').catch(() => ''))) {
      const [, stream, , ...words] = line.split(' ');
      if (stream === 'stdout' || stream === 'stderr') lines[stream].push(words.join(' '));
    }
  }
  return lines;
}

/**
 * Checks that the CRI log of an ended container contains what the Engine kept, each line once and in order.
 * @param got the lines of the CRI log.
 * @param kept the lines of the Engine's log, if the Engine could be asked.
 * @param how `complete`: the container ended by itself; `stopped`: the container may have been stopped while
 * it wrote; `holey`: dockerd was killed and lost what it had read, so lines may be missing, but not repeated.
 */
export function logIsWrong(
  plan: ContainerPlan,
  got: StreamLines,
  kept: StreamLines | undefined,
  how: 'complete' | 'stopped' | 'holey',
): string[] {
  return (['stdout', 'stderr'] as const).flatMap((stream) => {
    const all = expectedLines(plan, stream);
    const lines = got[stream];
    const wanted = {
      complete: all,
      stopped: kept?.[stream] ?? all,
      holey: all.filter((line) => lines.includes(line)),
    }[how];
    const difference = firstDifference(lines, wanted);
    const missing = (kept?.[stream].length ?? 0) - lines.length;
    return [
      ...(difference === undefined ? [] : [`${stream}: ${difference}`]),
      ...(missing > 0 ? [`${stream}: ${missing} of the Engine's lines are missing`] : []),
    ];
  });
}

/** Describes the first difference of two logs; undefined when they are equal. */
function firstDifference(got: readonly string[], wanted: readonly string[]): string | undefined {
  const at = wanted.findIndex((line, index) => got[index] !== line);
  if (at >= 0) return `line ${at} is "${got[at] ?? 'missing'}" instead of "${wanted[at] ?? ''}"`;
  return got.length > wanted.length ? `${got.length - wanted.length} lines too many` : undefined;
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
