import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { show } from '../../../src/cli/cri/show';

let directory: string;
let file: string;
let said: string[];
let before: unknown[];
/**
 * The listeners for errors of standard output that the test has added. Without a listener Node.js ends the
 * process.
 */
const added = (): ((error: Error) => void)[] =>
  (process.stdout.listeners('error') as ((error: Error) => void)[]).filter((one) => !before.includes(one));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-cri-show-'));
  file = join(directory, 'a.tape');
  said = [];
  before = process.stdout.listeners('error');
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(async () => {
  jest.restoreAllMocks();
  for (const listener of added()) process.stdout.off('error', listener);
  await rm(directory, { recursive: true, force: true });
});

/** Makes writes to standard output fail with `code`, or succeed if there is none. */
function failingOutput(code: string | undefined): void {
  jest.spyOn(process.stdout, 'write').mockImplementation(((
    _text: string,
    done: (error?: Error | null) => void,
  ) => {
    if (code === undefined) {
      done(null);
      return true;
    }
    const error = Object.assign(new Error(code), { code });
    done(error);
    return false;
  }) as typeof process.stdout.write);
}

async function shown(lost: number): Promise<number> {
  const head = { tape: 1, recorded: 'x', by: 'test', upstream: { endpoint: 'unix:///x' }, redacted: [] };
  const end = { t: 9, end: true, calls: 0, lost };
  await writeFile(file, `${JSON.stringify(head)}\n${JSON.stringify(end)}\n`);
  return show(file, { failed: false, output: 'text' });
}

it('the exit code says whether the tape is complete', async () => {
  failingOutput(undefined);
  expect(await shown(0)).toBe(0);
  expect(said).toEqual([]);
  expect(await shown(3)).toBe(1);
  expect(said).toEqual([expect.stringContaining('3 lines are missing')]);
});

it('a reader that closes the pipe early causes no error', async () => {
  failingOutput('EPIPE');
  expect(await shown(0)).toBe(0);
  expect(added()).toHaveLength(1);
  expect(said).toEqual([]);
});

it('a failed write to the output is reported', async () => {
  failingOutput('ENOSPC');
  expect(await shown(0)).toBe(2);
  expect(said).toEqual(['dockbridge cri show: ENOSPC\n']);
});
