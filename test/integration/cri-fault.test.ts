import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CriClient } from '../../src/server/client/cri-client';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import { podConfig } from './support/pods';

let test: TestDaemon;
const place = (name: string): string => join(test.directory, name);

beforeAll(async () => (test = await TestDaemon.start()));
afterAll(() => test.stop());

const commandOf = (plan: string, ...more: string[]): Command =>
  new Command([
    ...['cri', 'fault', '--listen', `unix://${place('fault.sock')}`, '--upstream', test.endpoint],
    ...['--plan', plan, ...more],
  ]);

it('cri fault loses an answer after the pod was made, the retry finds the pod, and the tape says why', async () => {
  const plan = place('faults.yaml');
  await writeFile(
    plan,
    'faults:\n  - match: { method: RunPodSandbox, nth: 1 }\n    lose_answer: { code: UNAVAILABLE, text: the answer is lost }\n',
  );
  const command = commandOf(plan, '--seed', '7', '-o', place('fault.tape'));
  while (!command.stderr.includes('passes calls on')) await new Promise((resolve) => setImmediate(resolve));
  const client = new CriClient(`unix://${place('fault.sock')}`);
  const config = podConfig(test);
  await expectFailure(client.call('RunPodSandbox', { config }), 'UNAVAILABLE', 'the answer is lost');
  const { items } = await test.client.call('ListPodSandbox', {});
  expect(items.map(({ metadata }) => metadata?.name)).toEqual([config.metadata?.name]);
  const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
  expect(pod_sandbox_id).toBe(items[0]?.id);
  await client.call('RemovePodSandbox', { pod_sandbox_id });
  client.close();
  command.signal('SIGTERM');
  expect(await command.exit()).toBe(0);
  expect(command.stderr).toContain('faults[0]: lose_answer into RunPodSandbox');
  const lines = (await readFile(place('fault.tape'), 'utf8')).split('\n');
  expect(lines.some((line) => line.includes('"fault":"lose_answer","rule":0'))).toBe(true);
});

it('cri fault fails and names the file and the key of an error in the plan', async () => {
  const plan = place('wrong.yaml');
  await writeFile(plan, 'faults: [{match: {method: RunPodSandbx}, hang: true}]');
  const command = commandOf(plan);
  expect(await command.exit()).toBe(2);
  expect(command.stderr).toContain(
    `${plan}: faults[0].match.method: CRI has no method RunPodSandbx: is RunPodSandbox meant?`,
  );
});
