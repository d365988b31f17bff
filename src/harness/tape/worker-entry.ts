import { randomBytes } from 'node:crypto';
import { setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../../lib/errors';
import { WireCalls } from '../wire/wire-calls';
import { isOwnLine, weightOf, type Entry, type LineEntry } from './entry';
import { TapeFile } from './file';
import { TapeLines } from './lines';
import { hider } from './redact';
import type { FromTape, TapeWork, ToTape } from './worker-protocol';

/** A lower priority than that of the thread that passes calls. On Linux, `setPriority` affects only the calling thread. */
const NICE = 10;
const KEY_BYTES = 32;

function serve(port: MessagePort, { file, header, full }: TapeWork): void {
  const say = (message: FromTape): void => port.postMessage(message);
  const lines = new TapeLines(full ? undefined : hider(randomBytes(KEY_BYTES)));
  const wire = new WireCalls();
  let tape: TapeFile;
  try {
    tape = TapeFile.create(file, header);
  } catch (error) {
    say({ refused: messageOf(error) });
    return;
  }
  say({ opened: true });
  port.on('message', (entries: ToTape) => {
    const taken = entries.reduce((sum, entry) => sum + weightOf(entry), 0);
    const { made, problems } = read(wire, entries);
    const why = write(tape, lines, made);
    const untold = made.reduce((sum, entry) => sum + (entry.kind === 'lost' ? entry.lost : 0), 0);
    const failed = why === undefined ? {} : { failed: { lines: made.filter(isOwnLine).length, untold, why } };
    say({ taken, lines: entries.filter(isOwnLine).length, calls: wire.calls, problems, ...failed });
    if (!entries.some(({ kind }) => kind === 'finish')) return;
    const { bytes, isOnDisk } = tape.close();
    const isWhole = why === undefined && isOnDisk;
    say({ finished: true, bytes, isWhole, unread: wire.lost, spent: wire.spent.report() });
    port.close();
  });
}

/** Replaces `wire` entries by the entries of the calls in them, and adds the number of these calls and of their lost lines to the last entry. */
function read(
  wire: WireCalls,
  entries: readonly Entry[],
): { readonly made: readonly LineEntry[]; readonly problems: readonly string[] } {
  const made: LineEntry[] = [];
  const problems: string[] = [];
  for (const entry of entries) {
    if (entry.kind === 'wire') {
      const found = wire.read(entry.bytes);
      for (const one of found.entries) made.push(one);
      problems.push(...found.problems);
    } else if (entry.kind === 'finish')
      made.push({ ...entry, calls: entry.calls + wire.calls, lost: entry.lost + wire.lost });
    else made.push(entry);
  }
  return { made, problems };
}

/** Writes entries to the tape. @returns the error message if that failed. */
function write(tape: TapeFile, lines: TapeLines, entries: readonly LineEntry[]): string | undefined {
  const text = entries.map((entry) => `${lines.textOf(entry)}\n`).join('');
  try {
    tape.append(text);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

// Loading this file starts the work, because it is the main module of the tape's thread.
setPriority(NICE);
if (parentPort !== null) serve(parentPort, workerData as TapeWork);
