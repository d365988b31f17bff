import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collectEffects } from '../../src/harness/effects/collect';
import {
  compareEffects,
  type EffectComparison,
  type EffectRow,
} from '../../src/harness/effects/compare-effects';
import type { SeenRuntime } from '../../src/harness/effects/effect';
import { KNOWN } from '../../src/harness/effects/known';
import type { ScenarioPod } from '../../src/harness/effects/effect-scenario';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';

let test: TestDaemon;
beforeAll(async () => (test = await TestDaemon.start()));
afterAll(() => test.stop());

const LOOK = ['--busybox', TEST_IMAGE, '--scratch'];

const diff = (a: string, b: string, ...more: string[]): Command =>
  new Command(['cri', 'diff', a, b, '--effects', ...LOOK, test.directory, ...more]);

it('cri effects finds the same effects twice on one runtime, from a file or live, and leaves nothing behind', async () => {
  const [file, junit] = [join(test.directory, 'effects.json'), join(test.directory, 'effects.xml')];
  const first = new Command(['cri', 'effects', test.endpoint, ...LOOK, test.directory, '-o', file]);
  const exitCode = await first.exit();
  // A refusal is named with its reason. It must not be the same on both sides by accident.
  expect(first.stderr.split('\n').filter((line) => line.includes('refused'))).toEqual([]);
  expect(exitCode).toBe(0);
  const command = diff(file, test.endpoint, '-o', 'json', '--junit', junit);
  const code = await command.exit();
  const { rows, counts, containers } = JSON.parse(command.stdout) as EffectComparison;
  const unequal = ({ effect, a = '-', b = '-', verdict, containers: places }: EffectRow): string =>
    `${effect}: ${a} | ${b} (${verdict}) in ${places.join(' ')}`;
  expect(rows.filter(({ verdict }) => verdict !== 'same').map(unequal)).toEqual([]);
  expect(code).toBe(0);
  expect(containers).toHaveLength(26);
  expect(counts.same).toBeGreaterThan(26 * 100);
  expect(await readFile(junit, 'utf8')).toContain('<testsuite name="Effects" tests="26" failures="0"');
  expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
}, 300_000);

it('cri diff --effects names the source that cannot be examined, and refuses a tape, --rules and TCP', async () => {
  const gone = diff(test.endpoint.replace('cri.sock', 'gone.sock'), test.endpoint);
  expect(await gone.exit()).toBe(2);
  expect(gone.stderr).toMatch(/unix:.*gone\.sock: .*UNAVAILABLE/);
  const tape = diff('kubelet.tape', test.endpoint);
  expect(await tape.exit()).toBe(2);
  expect(tape.stderr).toMatch(/ENOENT.*kubelet\.tape/);
  const ruled = diff(test.endpoint, test.endpoint, '--rules', 'mine.yaml');
  expect(await ruled.exit()).toBe(2);
  expect(ruled.stderr).toContain('--rules: cannot be given with --effects');
  const remote = diff('tcp://node:1234', test.endpoint);
  expect(await remote.exit()).toBe(2);
  expect(remote.stderr).toContain('tcp://node:1234: is not unix:///path');
});

describe('cri effects on one runtime', () => {
  const collect = (pod: ScenarioPod): Promise<SeenRuntime> =>
    collectEffects(test.client, {
      ...{ source: test.endpoint, image: TEST_IMAGE, scratchRoot: test.directory, scenario: () => [pod] },
    });

  it('finds exactly the effects that differ, and returns the values of all', async () => {
    const pod: ScenarioPod = { name: 'plain', containers: [{ name: 'first' }] };
    const changed: ScenarioPod = {
      ...pod,
      sysctls: { 'net.core.somaxconn': '77' },
      containers: [
        {
          name: 'first',
          config: { envs: [{ key: 'SEEDED', value: Buffer.from('yes') }] },
          security: {
            ...{ capabilities: { drop_capabilities: ['CHOWN'] }, masked_paths: [] },
            ...{ run_as_user: { value: 0 }, run_as_group: { value: 0 }, supplemental_groups: [3000] },
          },
        },
      ],
    };
    const [a, b] = [await collect(pod), await collect(changed)];
    const { rows } = compareEffects(a, b, KNOWN);
    const found = rows.filter(({ verdict }) => verdict === 'differs').map(({ effect }) => effect);
    expect(found).toEqual(
      [
        ...['bounding', 'effective', 'permitted'].map((set) => `capabilities.${set}`),
        ...['groups', 'env SEEDED'],
      ]
        .flatMap((effect) => [effect, `exec.${effect}`])
        .concat('masked paths', 'sysctl net.core.somaxconn')
        .sort(),
    );
    expect(Object.fromEntries(b.containers[0]?.effects ?? [])).toMatchObject({
      ...{ starts: 'yes', uid: '0', groups: ['0', '3000'], 'env SEEDED': '"yes"', 'masked paths': [] },
      ...{ 'sysctl net.core.somaxconn': '77', hostname: 'effects-plain', oom_score_adj: '1000' },
      ...{ 'mount /proc': 'proc nodev,noexec,nosuid,rw', 'namespace pid': 'own', end: 'exit code 3, Error' },
      ...{ 'log stdout 1': 'F "effects: ready"', 'log stdout 3': 'F "effects: ended by TERM"' },
    });
  });

  it('fails for a scenario in which no container starts', async () => {
    const security = { run_as_username: 'nobody-knows-this-user' };
    await expect(collect({ name: 'none', containers: [{ name: 'first', security }] })).rejects.toThrow(
      /no container of the scenario started: first was refused: .*nobody-knows-this-user/,
    );
    expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  });
});
