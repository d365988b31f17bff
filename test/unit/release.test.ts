import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOCKBRIDGE_VERSION } from '../../src/release';

it("the version is package.json's", () => {
  const text = readFileSync(join(__dirname, '../../package.json'), 'utf8');
  expect(DOCKBRIDGE_VERSION).toBe((JSON.parse(text) as { version: string }).version);
});
