#!/usr/bin/env node
import { createProgram } from './cli/program';
import { messageOf } from './lib/errors';

createProgram()
  .parseAsync()
  .catch((error: unknown) => {
    process.stderr.write(`dockbridge: ${messageOf(error)}\n`);
    process.exitCode = 1;
  });
