#!/usr/bin/env node
import { createProgram } from './cli/program';
import { messageOf } from './lib/errors';
import { isJournal, JOURNAL_PRIORITY } from './lib/journal';

/** How long, in ms, the process waits at its end until the reason has been read. */
const LAST_LINE_MS = 1_000;

createProgram()
  .parseAsync()
  .catch((error: unknown) => {
    const end = (): never => process.exit(1);
    const priority = isJournal(process.env.JOURNAL_STREAM) ? JOURNAL_PRIORITY.error : '';
    process.stderr.write(`${priority}dockbridge: ${messageOf(error)}\n`, end);
    // Writing may fail, because nobody may be reading stderr.
    setTimeout(end, LAST_LINE_MS);
  });
