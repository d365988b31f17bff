#!/usr/bin/env node
import { createProgram } from './cli/program';
import { messageOf } from './lib/errors';

/** How long the end waits for a reader of its reason. */
const LAST_LINE_MS = 1_000;

createProgram()
  .parseAsync()
  .catch((error: unknown) => {
    const end = (): never => process.exit(1);
    process.stderr.write(`dockbridge: ${messageOf(error)}\n`, end);
    // Nobody may be reading.
    setTimeout(end, LAST_LINE_MS);
  });
