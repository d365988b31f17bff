import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const TYPESCRIPT = join(__dirname, '../support/load-typescript.cjs');
const SOURCE = join(__dirname, '../../../src/docker/load-dockerode');

/** Runs `code` in a Node.js of its own, because jest has a cache of modules of its own. Returns what the code prints. */
async function run(code: string): Promise<string> {
  const words = ['--require', TYPESCRIPT, '--eval', code, SOURCE];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  return stdout;
}

const LOAD = 'const Docker = require(process.argv[1]).loadDockerode();';
/** Prints the names of the loaded packages of npm. */
const PRINT = `
  const names = Object.keys(require.cache).map((file) => /.*node_modules.((?:@[^/]+.)?[^/]+)/.exec(file)?.[1]);
  process.stdout.write([...new Set(names)].join(' '));`;

describe('loadDockerode', () => {
  it('loads docker-modem, but neither ssh2 nor protobufjs nor a gRPC library', async () => {
    const packages = (await run(`${LOAD} new Docker({ socketPath: '/x' }); ${PRINT}`)).split(' ');
    expect(packages).toEqual(expect.arrayContaining(['dockerode', 'docker-modem', 'tar-fs']));
    expect(packages).not.toContain('ssh2');
    expect(packages).not.toContain('protobufjs');
    expect(packages.filter((name) => name.startsWith('@grpc/'))).toEqual([]);
  });

  it('loads a part at once if its file cannot be found, because it may be elsewhere in a later version', async () => {
    const hide = `
      const { Module } = require('node:module');
      const resolve = Module._resolveFilename;
      Module._resolveFilename = function (part, ...rest) {
        if (part !== 'docker-modem/lib/ssh') return resolve.call(this, part, ...rest);
        throw Object.assign(new Error(part), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
      };`;
    const packages = (await run(`${hide} ${LOAD} new Docker({ socketPath: '/x' }); ${PRINT}`)).split(' ');
    expect(packages).toEqual(expect.arrayContaining(['dockerode', 'docker-modem', 'ssh2']));
    expect(packages).not.toContain('protobufjs');
  });

  it('loads ssh2 when a request goes to an ssh:// address', async () => {
    const request = `new Docker({ protocol: 'ssh', host: '127.0.0.1', port: 1, username: 'x' }).ping().catch(() => undefined);`;
    expect(
      (await run(`${LOAD} ${LOAD.replace('const Docker =', '')} ${request} ${PRINT}`)).split(' '),
    ).toContain('ssh2');
  });

  it('loads gRPC when a BuildKit session is opened', async () => {
    const session = `
      Docker({ socketPath: '/x' });
      const withSession = require(require.resolve('dockerode/lib/session', { paths: [process.argv[1]] }));
      const modem = { dial: (_options, done) => done(new Error('refused')) };
      withSession({ modem }, undefined, (error) => process.stdout.write(error.message + ' '));`;
    const printed = (await run(`${LOAD} ${session} ${PRINT}`)).split(' ');
    expect(printed[0]).toBe('refused');
    expect(printed).toContain('@grpc/grpc-js');
  });
});
