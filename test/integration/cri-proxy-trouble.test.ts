import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCalls } from '../../src/harness/show/calls';
import { CriClient } from '../../src/server/client/cri-client';
import { FakeCri } from '../unit/harness/support/fake-cri';
import { Command } from './support/command';
import { expectFailure } from './support/grpc';

let directory: string;
let fake: FakeCri;
const place = (name: string): string => join(directory, name);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-cri-proxy-'));
  fake = await FakeCri.start();
  await writeFile(place('faults.yaml'), 'faults: [{match: {method: StopContainer}, delay: 1ms}]\n');
});
afterEach(async () => {
  await fake.stop();
  await rm(directory, { recursive: true, force: true });
});

describe.each([
  ['record', () => [] as string[]],
  ['fault', () => ['--plan', place('faults.yaml')]],
])('cri %s', (name, more) => {
  const command = (listen: string, upstream: string, tape = place('out.tape')): Command =>
    new Command(['cri', name, '--listen', listen, '--upstream', upstream, '-o', tape, ...more()]);
  const listen = (): string => `unix://${place('proxy.sock')}`;
  const isUp = async (proxy: Command): Promise<void> => {
    while (!proxy.stderr.includes('passes calls on')) await new Promise((resolve) => setImmediate(resolve));
  };

  it('outlives a runtime that vanishes: calls fail, the next runtime gets the next calls, and the tape is complete', async () => {
    const proxy = command(listen(), fake.endpoint);
    await isUp(proxy);
    const client = new CriClient(listen());
    try {
      await client.call('Version', {});
      fake.die();
      await expectFailure(client.call('Version', {}), 'UNAVAILABLE');
      await fake.listen();
      while ((await client.call('Version', {}).catch(() => undefined)) === undefined);
    } finally {
      client.close();
    }
    proxy.signal('SIGTERM');
    expect(await proxy.exit()).toBe(0);
    expect(proxy.stdout).toContain('0 lines lost');
    const { calls, problems } = await readCalls(place('out.tape'));
    expect(problems).toEqual([]);
    expect([calls[0]?.status, calls.at(-1)?.status]).toEqual(['OK', 'OK']);
  });

  it('exits with 0 if the runtime was never there, and reports the path of its socket', async () => {
    const nowhere = `unix://${place('none.sock')}`;
    const proxy = command(listen(), nowhere);
    await isUp(proxy);
    const client = new CriClient(listen());
    await expectFailure(client.call('Version', {}), 'UNAVAILABLE');
    client.close();
    proxy.signal('SIGTERM');
    expect(await proxy.exit()).toBe(0);
    expect(proxy.stderr).toContain(nowhere);
    expect((await readCalls(place('out.tape'))).problems).toEqual([]);
  });

  it.each([
    ['a tape that exists', () => [listen(), fake.endpoint, place('faults.yaml')], 'EEXIST'],
    [
      'a tape in a directory that does not exist',
      () => [listen(), fake.endpoint, place('no/a.tape')],
      'ENOENT',
    ],
    ['an address that is not a unix socket', () => ['tcp://127.0.0.1:1', fake.endpoint], '--listen'],
    ['the same socket on both sides', () => [fake.endpoint, fake.endpoint], 'the same socket'],
  ] as const)('exits with 2 for %s', async (_, args, error) => {
    const [at = '', upstream = '', tape] = args();
    const proxy = command(at, upstream, tape);
    expect(await proxy.exit()).toBe(2);
    expect(proxy.stderr).toContain(error);
  });
});
