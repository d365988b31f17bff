import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { conformance, type ConformanceCommand } from '../../../src/cli/cri/conformance';
import { FakeCri, Refusal } from '../harness/support/fake-cri';

let directory: string;
let cri: FakeCri;
let said: string[];
const file = (name: string): string => join(directory, name);
const places = (): { built: string; sources: string } => ({
  built: file('built'),
  sources: file('sources'),
});
const run = (options: Partial<ConformanceCommand> = {}): Promise<number> =>
  conformance({ endpoint: cri.endpoint, output: 'text', ...options }, places());

/** A suite that writes its arguments to a file, one per line, and then ends in the given way. */
async function putSuite(at: string, end = 'exit 0'): Promise<void> {
  await mkdir(at, { recursive: true });
  await writeFile(join(at, 'suite'), `#!/bin/sh\nprintf '%s\\n' "$@" >'${file('args')}'\n${end}\n`, {
    mode: 0o755,
  });
}
const args = async (): Promise<string[]> => (await readFile(file('args'), 'utf8')).trimEnd().split('\n');

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-conformance-'));
  cri = await FakeCri.start();
  said = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await cri.stop();
  await rm(directory, { recursive: true, force: true });
});

it("conformance runs the suite next to the program with the endpoint, the runtime's name and the options", async () => {
  await putSuite(file('built'));
  expect(await run({ junit: 'j.xml', run: 'TestExec|TestPod', skips: 's.txt', output: 'json' })).toBe(0);
  expect((await args()).sort()).toEqual([
    `-endpoint=${cri.endpoint}`,
    '-junit=j.xml',
    '-o=json',
    '-run=TestExec|TestPod',
    '-runtime-name=fake',
    '-runtime-version=1.0.0',
    '-skips=s.txt',
  ]);
  expect(said).toEqual([]);
});

it.each([
  ['exit 0', 0],
  ['exit 1', 1],
  ['exit 2', 2],
  ['exit 127', 2],
  ['kill -9 $$', 2],
])('conformance turns the end `%s` of a suite into the exit code %d', async (end, code) => {
  await putSuite(file('built'), end);
  expect(await run()).toBe(code);
});

it('conformance prefers a suite that the user names to all others', async () => {
  await putSuite(file('built'), 'exit 1');
  await putSuite(file('mine'));
  expect(await run({ suite: file('mine') })).toBe(0);
});

it('conformance prefers sources to the suite next to the program, and builds them', async () => {
  await putSuite(file('built'), 'exit 1');
  await mkdir(file('sources'));
  const script = 'mkdir -p "$1"; printf "#!/bin/sh\\nexit 0\\n" >"$1/suite"; chmod +x "$1/suite"\n';
  await writeFile(join(file('sources'), 'build.sh'), script);
  expect(await run()).toBe(0);
  expect(said.join('')).toContain('the suite is being built');
  said = [];
  expect(await run()).toBe(0);
  expect(said).toEqual([]);
});

it('conformance exits with 2 and says what is needed when the build fails', async () => {
  await mkdir(file('sources'));
  await writeFile(join(file('sources'), 'build.sh'), 'exit 1\n');
  expect(await run()).toBe(2);
  expect(said.join('')).toContain('build.sh failed. It needs Go');
});

it('conformance exits with 2 and says where to get a suite when there is none', async () => {
  expect(await run()).toBe(2);
  expect(said).toEqual([expect.stringContaining(`the conformance suite is not in ${file('built')}.`)]);
  expect(said[0]).toContain('"bash test/conformance/build.sh DIR" builds it');
  said = [];
  expect(await run({ suite: directory })).toBe(2);
  expect(said).toEqual([expect.stringContaining(`--suite: ${directory} has no program "suite"`)]);
});

it('conformance exits with 2 when the suite cannot be started', async () => {
  await putSuite(file('built'));
  await writeFile(join(file('built'), 'suite'), '#!/none\n');
  expect(await run()).toBe(2);
  expect(said.join('')).toContain('ENOENT');
});

it.each([
  ['tcp://127.0.0.1:1', '--endpoint: "tcp://127.0.0.1:1" is not unix:///path'],
  ['unix:///run/none.sock', "unix:///run/none.sock does not answer CRI's Version"],
])(
  'conformance refuses the endpoint %s with exit code 2 before it builds anything',
  async (endpoint, error) => {
    await putSuite(file('built'));
    expect(await run({ endpoint })).toBe(2);
    expect(said).toEqual([expect.stringContaining(error)]);
    await expect(args()).rejects.toThrow('ENOENT');
  },
);

it('conformance exits with 2 when the runtime does not know runtime.v1', async () => {
  await putSuite(file('built'));
  cri.spoil = () => {
    throw new Refusal(grpc.status.UNIMPLEMENTED, 'unknown service runtime.v1.RuntimeService');
  };
  expect(await run()).toBe(2);
  expect(said.join('')).toContain('unknown service runtime.v1.RuntimeService');
});

it('conformance passes a signal on to the suite and waits for its end', async () => {
  // The suite writes to a FIFO when it has started, and a reader waits for that.
  const fifo = file('fifo');
  await once(spawn('mkfifo', [fifo]), 'close');
  await putSuite(file('built'), `trap 'exit 1' TERM\necho >'${fifo}'\nwhile :; do sleep 0.02; done`);
  const ended = run();
  await readFile(fifo);
  process.emit('SIGTERM', 'SIGTERM');
  expect(await ended).toBe(1);
});
