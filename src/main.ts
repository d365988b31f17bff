#!/usr/bin/env node
import { createProgram } from './cli/program';
import { messageOf } from './lib/errors';

/** How long the process waits at its end for somebody to read the reason. */
const LAST_LINE_MS = 1_000;

createProgram()
  .parseAsync()
  .catch((error: unknown) => {
    const end = (): never => process.exit(1);
    process.stderr.write(`dockbridge: ${messageOf(error)}\n`, end);
    // Perhaps nobody reads stderr.
    setTimeout(end, LAST_LINE_MS);
  });
