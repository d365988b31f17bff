import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../lib/errors';
import { isObject, parseObject, text } from '../../lib/json';
import { Refused } from './refused';

/** Relative to the directory of the plan. */
export const JOURNAL = 'journal.ndjson';
const MAX_BYTES = 64 << 20;

const EVENTS = [
  'plan',
  'begun',
  'command',
  'failed',
  'done',
  'skipped',
  'printed',
  'undoing',
  'undone',
] as const;

/**
 * - `plan`: the first line. The detail is the SHA-256 of plan.json.
 * - `command`: a command is about to run. The detail is the name of its process (processName).
 * - `failed`: the step or its undo has failed. It may have done a part.
 * - `skipped`: there was nothing to do, or the user did the step by hand.
 * - `printed`: the commands were printed for a person.
 */
export type JournalEvent = (typeof EVENTS)[number];

export interface JournalEntry {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly event: JournalEvent;
  /** The id of the step; '' for `plan`. */
  readonly step: string;
  readonly detail: string;
}

/** What a step is in now. A step that is `begun` or `undoing` may have been done in part. */
export type StepState = 'open' | 'begun' | 'done' | 'skipped' | 'printed' | 'undoing';

const STATES: Partial<Record<JournalEvent, StepState>> = {
  begun: 'begun',
  done: 'done',
  skipped: 'skipped',
  printed: 'printed',
  undoing: 'undoing',
  undone: 'open',
};

/**
 * The journal of a plan: one JSON object in each line, each on the disk before the work goes on. The process may be killed at any
 * moment. A line that was being written then is torn, and counts as never written.
 */
export class Journal {
  private constructor(
    private readonly file: FileHandle,
    private readonly lines: JournalEntry[],
  ) {}

  /**
   * Opens the journal in a plan's directory, and makes it if there is none.
   * @throws Refused when the journal belongs to another plan.json; Error when it is damaged.
   */
  static async open(directory: string, planSha256: string): Promise<Journal> {
    const path = join(directory, JOURNAL);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
    const file = await open(path, flags, 0o600);
    try {
      const { size } = await file.stat();
      if (size > MAX_BYTES) throw new Error(`${path} is larger than ${MAX_BYTES} bytes`);
      const bytes = await file.readFile();
      const end = bytes.lastIndexOf('\n') + 1;
      if (end < bytes.length) await file.truncate(end);
      const journal = new Journal(file, entriesOf(bytes.subarray(0, end).toString(), path));
      const [first] = journal.lines;
      if (first === undefined) {
        await journal.write('', 'plan', planSha256);
        await syncDirectory(directory);
      } else if (first.event !== 'plan' || first.detail !== planSha256)
        throw new Refused(
          `plan.json was changed after a part of the plan was done. Restore it, or go back by hand with the undo commands in plan.md`,
        );
      return journal;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get entries(): readonly JournalEntry[] {
    return this.lines;
  }

  stateOf(step: string): StepState {
    const last = this.lines.findLast((line) => line.step === step && STATES[line.event] !== undefined);
    return (last && STATES[last.event]) ?? 'open';
  }

  /** Whether the step was ever begun, even if it was undone afterwards. */
  wasBegun(step: string): boolean {
    return this.lines.some((line) => line.step === step && line.event === 'begun');
  }

  /** Adds a line, and returns when it is on the disk. @throws Error when it cannot be written, for example to a full disk. */
  async write(step: string, event: JournalEvent, detail = ''): Promise<void> {
    const entry: JournalEntry = { at: new Date().toISOString(), event, step, detail };
    try {
      await this.file.appendFile(`${JSON.stringify(entry)}\n`);
      await this.file.datasync();
    } catch (error) {
      throw new Error(
        `${JOURNAL} cannot be written: ${messageOf(error)}. Correct this, and run the same command again`,
        { cause: error },
      );
    }
    this.lines.push(entry);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

function entriesOf(source: string, path: string): JournalEntry[] {
  return source
    .split('\n')
    .slice(0, -1)
    .map((line, at) => {
      const value = parseObject(line);
      const event = EVENTS.find((one) => one === value?.event);
      if (!isObject(value) || event === undefined || typeof value.step !== 'string')
        throw new Error(
          `${path}:${at + 1} is damaged. Look at the lines before it for what was done, and go back by hand with the undo commands in plan.md`,
        );
      return { at: text(value.at), event, step: value.step, detail: text(value.detail) };
    });
}

/** Without this, a loss of power may take away the name of a new file. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    throw new Error(`${path} cannot be written to the disk: ${messageOf(error)}`, { cause: error });
  } finally {
    await directory.close();
  }
}
