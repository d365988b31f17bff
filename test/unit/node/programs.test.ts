import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasProgram } from '../../../src/node/programs';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-programs-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('hasProgram', () => {
  it('finds executable files only', async () => {
    await writeFile(join(directory, 'criu'), '');
    expect(await hasProgram('criu', directory, [])).toBe(false);
    await chmod(join(directory, 'criu'), 0o755);
    expect(await hasProgram('criu', `/none:${directory}`, [])).toBe(true);
    expect(await hasProgram('criu', undefined, [directory])).toBe(true);
    expect(await hasProgram('criu', '', [])).toBe(false);
  });
});
