import { compareEffects } from '../../../../src/harness/effects/compare-effects';
import type { Effects, SeenRuntime } from '../../../../src/harness/effects/effect';
import { KNOWN } from '../../../../src/harness/effects/known';
import { finding } from '../../../../src/migrate/inventory/finding-of';
import { effectFindings } from '../../../../src/migrate/verify/effect-findings';
import { renderJson, renderText } from '../../../../src/migrate/verify/render';
import { verifyReport, type VerifyReport } from '../../../../src/migrate/verify/report';

const SIDES = {
  a: { endpoint: 'unix:///a', runtime: 'docker', version: '28.5.2' },
  b: { endpoint: 'unix:///b', runtime: 'containerd', version: '2.1.9' },
};

function seen(
  name: string,
  version: string,
  effects: Readonly<Record<string, string | string[]>>,
): SeenRuntime {
  const all: Effects = new Map(Object.entries(effects));
  const containers = ['plain/first', 'plain/second', 'log/lines'];
  return {
    source: `unix:///${name}`,
    runtime: { name, version },
    containers: containers.map((container) => ({ container, effects: all })),
  };
}

const compared = (
  a: Readonly<Record<string, string | string[]>>,
  b: Readonly<Record<string, string | string[]>>,
) => compareEffects(seen('docker', '28.5.2', a), seen('containerd', '2.1.9', b), KNOWN);

const report = (
  a: Readonly<Record<string, string | string[]>>,
  b: Readonly<Record<string, string | string[]>>,
): VerifyReport => verifyReport('1.0', SIDES, [], [], compared(a, b));

describe('effectFindings', () => {
  it.each([
    ['uid', 'verify-identity'],
    ['capabilities.effective', 'verify-capabilities'],
    ['exec.capabilities.bounding', 'verify-capabilities'],
    ['seccomp', 'verify-confinement'],
    ['can ping', 'verify-confinement'],
    ['limit open files', 'verify-limits'],
    ['cgroup pids.max', 'verify-resources'],
    ['mount /dev/shm', 'verify-files'],
    ['resolv.conf options', 'verify-network'],
    ['sysctl net.core.somaxconn', 'verify-network'],
    ['log stdout 7', 'verify-logs'],
    ['env HOME', 'verify-environment'],
    ['something new', 'verify-other'],
  ])('says what a difference in %s means', (effect, id) => {
    const [found, ...others] = effectFindings(compared({ [effect]: 'one' }, { [effect]: 'two' }));
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      ...{ id, severity: 'change', link: `docs/migrating.md#${id}` },
      evidence: [{ where: `${effect} in all 3 containers`, what: 'A: one; B: two' }],
    });
    expect(found?.advice).not.toBe('');
  });

  it('forbids the move when B refuses a pod, but not when only A does', () => {
    const [refused] = effectFindings(compared({ starts: 'yes' }, { starts: 'refused: INVALID_ARGUMENT' }));
    expect([refused?.id, refused?.severity]).toEqual(['verify-start', 'block']);
    const [accepted] = effectFindings(compared({ 'pod starts': 'refused: UNKNOWN' }, {}));
    expect([accepted?.id, accepted?.severity]).toEqual(['verify-start', 'review']);
  });

  it('names the members of a set that only one side has', () => {
    const found = effectFindings(
      compared({ 'capabilities.effective': ['CHOWN', 'KILL'] }, { 'capabilities.effective': ['CHOWN'] }),
    );
    expect(found.map(({ evidence }) => evidence[0]?.what)).toEqual(['A: KILL; B: -']);
  });
});

describe('verifyReport', () => {
  it('exits with 0 and counts equal properties when nothing differs', () => {
    expect(report({ uid: '0' }, { uid: '0' })).toMatchObject({
      ...{ exitCode: 0, findings: [], expected: [], containers: 3 },
      summary: { block: 0, change: 0, review: 0, expected: 0, equal: 3 },
    });
  });

  it('lists an expected difference with its reason and advice, and exits with 0', () => {
    const { exitCode, findings, expected } = report({ 'namespace uts': 'own' }, { 'namespace uts': 'pod' });
    expect([exitCode, findings]).toEqual([0, []]);
    expect(expected).toMatchObject([
      { because: expect.stringContaining('UTS namespace') as string, evidence: [{ what: 'A: own; B: pod' }] },
    ]);
    expect(expected[0]?.advice).toContain('CAP_SYS_ADMIN');
  });

  it('puts the worst first, and makes sentences of the reasons of rules', () => {
    const { findings, expected, exitCode } = verifyReport(
      '1.0',
      SIDES,
      [finding('review', 'verify-answers', 'One.'), finding('block', 'verify-ready', 'Two.')],
      ['it names the runtime', 'containerd has more'].map((because) => ({
        ...{ because, evidence: { where: 'x', what: 'y' } },
      })),
      undefined,
    );
    expect(findings.map(({ id }) => id)).toEqual(['verify-ready', 'verify-answers']);
    expect(expected.map(({ because }) => because)).toEqual(['It names the runtime.', 'containerd has more.']);
    expect(exitCode).toBe(2);
  });
});

describe('renderText', () => {
  const text = renderText(
    report(
      { 'limit open files': 'soft 1048576 hard 1048576', 'namespace uts': 'own', uid: '0' },
      { 'limit open files': 'soft 1024 hard 524288', 'namespace uts': 'pod', uid: '0' },
    ),
  );

  it('names both sides, the result, the meaning, the values and what to do', () => {
    expect(text).toMatch(/^A: docker 28\.5\.2 at unix:\/\/\/a\nB: containerd 2\.1\.9 at unix:\/\/\/b\n\n/);
    expect(text).toContain('differ in 1 way that nobody expects (0 block, 1 change, 0 review).');
    expect(text).toContain('CHANGE verify-limits: ');
    expect(text).toContain(
      '    limit open files in all 3 containers: A: soft 1048576 hard 1048576; B: soft 1024 hard 524288\n',
    );
    expect(text).toContain('  → containerd: rlimits in base_runtime_spec');
    expect(text).toContain('EXPECTED: 1 known difference');
    expect(text).toMatch(/Next: resolve the differences/);
  });

  it('fits 100 columns', () => {
    expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('says so when nothing is unexpected', () => {
    const equal = renderText(report({ uid: '0' }, { uid: '0' }));
    expect(equal).toMatch(/^Pods find the same on A and B\. 3 properties of 3 containers are equal\.$/m);
    expect(equal).toMatch(/Next: move the node\.\n$/);
    const explained = renderText(report({ 'namespace uts': 'own' }, { 'namespace uts': 'pod' }));
    expect(explained).toContain('apart from the expected differences below');
    expect(explained).toMatch(/Next: read the expected differences, and move the node\.\n$/);
  });

  it('says so when no pods were created', () => {
    const missing = [finding('block', 'verify-ready', 'B is not ready.')];
    expect(renderText(verifyReport('1.0', SIDES, missing, [], undefined))).toContain('No pods were created');
  });
});

it('renderJson prints the whole report', () => {
  const whole = report({ uid: '0' }, { uid: '1' });
  expect(JSON.parse(renderJson(whole))).toEqual(whole);
});
