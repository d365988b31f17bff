import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { compare } from '../../src/harness/compare/compare';
import { rulesFor } from '../../src/harness/compare/rules';
import { readRecorded } from '../../src/harness/drive/recorded';
import { replay, type Replayed } from '../../src/harness/drive/replay';
import { runScenario } from '../../src/harness/drive/run-scenario';
import { readScenario } from '../../src/harness/drive/scenario';
import { SMOKE } from '../../src/harness/drive/smoke';
import { renderText } from '../../src/harness/report/text';
import type { Observation } from '../../src/harness/observation';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import { recordedCalls, walk } from './support/recorded-walk';

let test: TestDaemon;
let tape: string;
const place = (name: string): string => join(test.directory, name);
const signal = new AbortController().signal;

beforeAll(async () => {
  test = await TestDaemon.start();
  tape = await recordedCalls(test.endpoint, test.directory, (endpoint) => walk(endpoint, test.directory));
});
afterAll(() => test.stop());

async function replayed(): Promise<Replayed> {
  const options = { to: test.endpoint, speed: 'max', images: new Map(), waitMs: 10_000, signal } as const;
  return replay(tape, await readRecorded(tape), { ...options, scratch: place('scratch') });
}

const difference = (a: Observation, b: Observation): string => {
  const comparison = compare(a, b, rulesFor(a.runtime, b.runtime));
  return comparison.differences === 0 ? '' : renderText(comparison);
};

it('cri replay finds no difference on the runtime on which the tape was made, and leaves nothing behind', async () => {
  const { recorded, live, skipped, left } = await replayed();
  expect(difference(recorded, live)).toBe('');
  expect({ skipped, left }).toEqual({ skipped: [], left: [] });
  expect(live.calls.length).toBeGreaterThan(25);
  const statuses = live.calls.filter(({ method }) => method === 'ContainerStatus');
  expect(
    statuses.map(({ response }) => (response?.status as { exit_code?: number } | undefined)?.exit_code),
  ).toContain(3);
  expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  expect(await readdir(place('scratch'))).toEqual([]);
});

it('cri replay has the documented exit codes and output, and handles a signal', async () => {
  const args = ['cri', 'replay', tape, '--to', test.endpoint, '--scratch', place('scratch')];
  const same = new Command([...args, '--junit', place('replay.xml')]);
  expect([await same.exit(), same.stderr.includes('hidden value')]).toEqual([0, true]);

  const nowhere = new Command(['cri', 'replay', tape, '--to', `unix://${place('none.sock')}`]);
  expect(await nowhere.exit()).toBe(2);
  expect(nowhere.stderr).toContain('does not answer');

  const foreign = new Command(['cri', 'replay', __filename, '--to', test.endpoint]);
  expect(await foreign.exit()).toBe(2);
  expect(foreign.stderr).toContain('is not a tape');

  const slow = new Command([...args, '--speed', '1x']);
  while ((await test.client.call('ListPodSandbox', {})).items.length === 0);
  slow.signal('SIGINT');
  expect(await slow.exit()).toBe(2);
  expect(slow.stderr).toContain('interrupted');
  expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  expect(await readdir(place('scratch'))).toEqual([]);
}, 180_000);

it('the built-in scenario passes, and two runs of it do not differ', async () => {
  const images = new Map([['docker.io/library/busybox:stable', TEST_IMAGE]]);
  const run = async (): ReturnType<typeof runScenario> =>
    runScenario(test.endpoint, readScenario(SMOKE), { images, signal, scratch: place('scratch') });
  const [one, other] = [await run(), await run()];
  expect([one.unmet, one.left, other.unmet]).toEqual([[], [], []]);
  expect(difference(one.observation, other.observation)).toBe('');
}, 180_000);
