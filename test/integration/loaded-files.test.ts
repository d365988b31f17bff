import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { filesLoadedByServe } from './support/loaded-files';

const ROOT = join(__dirname, '../..');

let directory: string;
let files: string[];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-loaded-'));
  files = (await filesLoadedByServe(directory)).map((file) => relative(ROOT, file));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a serving daemon', () => {
  it('has loaded its own code and the libraries that it uses', () => {
    const expected = ['dist/main.js', 'dist/daemon.js', 'node_modules/dockerode/lib/docker.js'];
    expect(files).toEqual(expect.arrayContaining(expected));
  });

  it.each([
    ...['ssh2', 'asn1', 'dockerode/node_modules/protobufjs', '@grpc/proto-loader', 'smol-toml'],
    '@opentelemetry/sdk-trace-base',
  ])('has not loaded %s', (library) => {
    const part = new RegExp(`node_modules/${library}/`);
    expect(files.filter((file) => part.test(file))).toEqual([]);
  });

  it.each(['harness', 'migrate', 'doctor/checks', 'cli/cri', 'cli/migrate'])(
    'has not loaded the code of src/%s',
    (room) => expect(files.filter((file) => file.startsWith(`dist/${room}/`))).toEqual([]),
  );
});
