// Loaded into the worker threads of tests (source-worker.ts): lets `require` find and load TypeScript, as jest does for the
// tests themselves.
'use strict';

const { transformFileSync } = require('@swc/core');

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformFileSync(filename, {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  });
  module._compile(code, filename);
};
