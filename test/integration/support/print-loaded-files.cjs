// Preloaded into a daemon by loaded-files.ts: prints the CommonJS modules that the main thread has loaded when the process ends.
'use strict';

const { writeSync } = require('node:fs');
const process = require('node:process');
const { isMainThread } = require('node:worker_threads');

if (isMainThread)
  process.on('exit', () => {
    const files = Object.keys(require.cache).filter((file) => file !== module.filename);
    writeSync(1, `${JSON.stringify(files)}\n`);
  });
