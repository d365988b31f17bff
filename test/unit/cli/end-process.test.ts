import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';

describe('endProcess', () => {
  let directory: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'dockbridge-end-'));
    const { code } = transformFileSync(join(__dirname, '../../../src/cli/end-process.ts'), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    });
    fs.writeFileSync(join(directory, 'end-process.js'), code);
    execFileSync('mkfifo', [join(directory, 'pipe')]);
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  it.each([
    { desc: 'with its code', path: 'end-process.js', end: [3, null] },
    { desc: 'while a file call hangs', path: 'pipe', end: [null, 'SIGKILL'] },
  ])('ends the process $desc', async ({ path, end }) => {
    const script = `
      const { endProcess } = require('./end-process.js');
      const read = require('node:fs').promises.readFile(${JSON.stringify(path)});
      const done = () => endProcess(3);
      ${path === 'pipe' ? 'setImmediate(done)' : 'read.then(done)'};`;
    const child = spawn(process.execPath, ['-e', script], { cwd: directory, stdio: 'inherit' });
    try {
      expect(await once(child, 'exit')).toEqual(end);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
