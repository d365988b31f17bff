import { randomBytes } from 'node:crypto';
import { setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../../lib/errors';
import { isOwnLine, weightOf, type Entry } from './entry';
import { TapeFile } from './file';
import { TapeLines } from './lines';
import { hider } from './redact';
import type { FromTape, TapeWork, ToTape } from './worker-protocol';

/** A priority below that of the thread that passes calls. On Linux this sets the calling thread's alone. */
const NICE = 10;
const KEY_BYTES = 32;

function serve(port: MessagePort, { file, header, full }: TapeWork): void {
  const say = (message: FromTape): void => port.postMessage(message);
  const lines = new TapeLines(full ? undefined : hider(randomBytes(KEY_BYTES)));
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
    const count = entries.filter(isOwnLine).length;
    const untold = entries.reduce((sum, entry) => sum + (entry.kind === 'lost' ? entry.lost : 0), 0);
    const why = write(tape, lines, entries);
    say({ taken, lines: count, ...(why === undefined ? {} : { failed: { lines: count, untold, why } }) });
    if (!entries.some(({ kind }) => kind === 'finish')) return;
    const { bytes, isOnDisk } = tape.close();
    say({ finished: true, bytes, isWhole: why === undefined && isOnDisk });
    port.close();
  });
}

/** @returns why the disk did not take them. */
function write(tape: TapeFile, lines: TapeLines, entries: readonly Entry[]): string | undefined {
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
