import type { LogDisk } from './log-disk';
import type { SpoolFile } from './spool-chain';
import type { TranslationBuffers } from './translation-buffers';
import type { WorkMarker } from './work-marker';

const CRI_LINE = /^(\S+) (stdout|stderr) [FP]/;

interface SpoolPlace {
  readonly file: SpoolFile;
  /** Just behind the record. */
  readonly offset: number;
}

/**
 * For a lost state directory: where in the spool the record stands whose line ends the CRI log. Undefined when it is
 * in none of the files: the log is empty, or an earlier container's. Times are to the nanosecond; the parts of a
 * split line share one, so equal times are counted.
 */
export function findLastLine(
  logTail: Buffer,
  files: readonly SpoolFile[],
  parts: { readonly disk: LogDisk; readonly buffers: TranslationBuffers; readonly marker: WorkMarker },
): SpoolPlace | undefined {
  const last = lastTime(logTail);
  if (last === undefined) return undefined;
  const needle = Buffer.from(`"time":"${asDockerWrites(last.time)}"}\n`);
  const { input } = parts.buffers;
  let missing = last.times;
  for (const file of files) {
    for (let offset = 0, more = true; more;) {
      // A spool of gigabytes takes longer than a disk that answers may take for one piece of work.
      parts.marker.goOn();
      const length = parts.disk.read(file.fd, input, input.length, offset);
      const chunk = input.subarray(0, length);
      let done = 0;
      for (let at = chunk.indexOf(needle); at >= 0; at = chunk.indexOf(needle, done)) {
        done = at + needle.length;
        if (--missing === 0) return { file, offset: offset + done };
      }
      more = length === input.length;
      offset += Math.max(done, length - needle.length + 1);
    }
  }
  return undefined;
}

function lastTime(logTail: Buffer): { time: string; times: number } | undefined {
  const lines = logTail.toString('latin1').split('\n');
  lines.pop();
  const last = CRI_LINE.exec(lines.at(-1) ?? '');
  if (last?.[1] === undefined) return undefined;
  const time = last[1];
  return { time, times: lines.filter((line) => line.startsWith(`${time} `)).length };
}

function asDockerWrites(time: string): string {
  return time.replace(/\.?0*Z$/, 'Z');
}
