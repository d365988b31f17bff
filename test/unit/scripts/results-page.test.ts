import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPT = join(__dirname, '../../../scripts/results-page.mjs');

const RUN = {
  began: '2026-11-29T23:50:00.000Z',
  seconds: 2103,
  commit: '0123456789abcdef0123456789abcdef01234567',
  changed: false,
  system: 'Debian GNU/Linux 12 (bookworm)',
  kernel: '6.1.0',
  architecture: 'amd64',
  processors: 2,
  cgroups: 'v1',
  node: '20.20.2',
  critest: '1.37.0',
  kubelet: '1.37.2',
  testEngine: '',
  engines: [
    { engine: '', dockerd: '20.10.24+dfsg1', containerd: '1.6.20~ds1', runc: '1.1.5+ds1' },
    { engine: '29', dockerd: '29.8.1', containerd: '2.1.4~ds2', runc: '1.5.3' },
  ],
};

const jestResult = (passed: number, failed: number, skipped: number, startTime: number, ends: number[]) =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: skipped,
    numRuntimeErrorTestSuites: 0,
    startTime,
    testResults: ends.map((endTime) => ({ endTime })),
  });

describe('docs/results.md', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'dockbridge results '))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const made = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, directory], { encoding: 'utf8' });
    // Cells are padded to the widest of their column.
    return { status, stderr, lines: stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' ')) };
  };
  const rowsOf = (lines: readonly string[]) =>
    lines.filter((line) => line.startsWith('| ') && !line.startsWith('| --'));

  it('has a row for each suite on each Engine, with the versions of the run', () => {
    const { lines } = made({
      'run.json': JSON.stringify(RUN),
      steps: [
        '90\tpassed\tmake test',
        '1172\tpassed\tenv TOTALS=/results/conformance-29 make conformance ENGINE=29',
        '171\tpassed\tenv TOTALS=/results/conformance- make conformance ENGINE=',
        '300\tpassed\tenv TOTALS=/results/conformance-upstream-29 make conformance-upstream ENGINE=29 ARGS=-x',
        '400\tpassed\tenv TOTALS=/results/kubelet- make kubelet ENGINE=',
        '390\tpassed\tenv TOTALS=/results/guest-test- make guest-test ENGINE= SHORT=1',
        '',
      ].join('\n'),
      'unit.json': jestResult(2000, 0, 1, 1_000_000, [1_010_000, 1_061_400]),
      'integration.json': jestResult(300, 0, 10, 2_000_000, [2_100_000]),
      'integration-2.json': jestResult(200, 1, 5, 2_001_000, [2_200_000]),
      'churn.json': jestResult(1, 0, 0, 3_000_000, [3_120_000]),
      'conformance-': '166 passed, 0 failed, 28 skipped\n',
      'conformance-29': '171 passed, 0 failed, 23 skipped\n',
      'conformance-upstream-29': '108 passed, 0 failed, 34 skipped\n',
      'kubelet-': '25 passed, 0 failed, 0 skipped\n',
      'guest-test-': '21 passed, 0 failed, 0 skipped\n',
    });
    expect(rowsOf(lines)).toEqual([
      '| suite | Engine | passed | failed | skipped | seconds |',
      '| unit tests | – | 2,000 | 0 | 1 | 61 |',
      '| integration tests | 20.10 | 500 | 1 | 15 | 200 |',
      '| churn | 20.10 | 1 | 0 | 0 | 120 |',
      '| our conformance suite | 20.10 | 166 | 0 | 28 | 171 |',
      '| our conformance suite | 29 | 171 | 0 | 23 | 1,172 |',
      '| critest 1.37.0 | 29 | 108 | 0 | 34 | 300 |',
      '| the guest with systemd, cgroup v2 and AppArmor, short form | 20.10 | 21 | 0 | 0 | 390 |',
      '| kubelet 1.37.2, standalone | 20.10 | 25 | 0 | 0 | 400 |',
      '| Engine | dockerd | containerd | runc |',
      '| 20.10 | 20.10.24+dfsg1 | 1.6.20~ds1 | 1.1.5+ds1 |',
      '| 29 | 29.8.1 | 2.1.4~ds2 | 1.5.3 |',
    ]);
    expect(lines.join(' ')).toContain('on 2026-11-29, of commit 0123456789ab, in 2,103 s');
    expect(lines).toContain('No step failed.');
    expect(lines).toContain(
      'Debian GNU/Linux 12 (bookworm), kernel 6.1.0, amd64, 2 processors, cgroups v1, Node.js 20.20.2.',
    );
  });

  it('names the failed steps, and omits steps without a result', () => {
    const { lines } = made({
      'run.json': JSON.stringify({ ...RUN, changed: true }),
      steps: '7\tfailed\tenv TOTALS=/results/kubelet- make kubelet ENGINE=\n60\tpassed\tmake lint\n',
    });
    expect(rowsOf(lines).filter((line) => line.startsWith('| kubelet'))).toEqual([]);
    expect(lines).toContain('- `make kubelet ENGINE=`');
    expect(lines.join(' ')).not.toContain('make lint');
    expect(lines.join(' ')).toContain('0123456789ab with changes,');
  });

  it('counts a test file that cannot be loaded as a failure', () => {
    const broken = { ...(JSON.parse(jestResult(5, 1, 0, 0, [])) as object), numRuntimeErrorTestSuites: 2 };
    const { lines } = made({ 'run.json': JSON.stringify(RUN), 'unit.json': JSON.stringify(broken) });
    expect(rowsOf(lines)).toContain('| unit tests | – | 5 | 3 | 0 | 0 |');
  });

  it('is not made from a run with a result that has no totals', () => {
    const { status, stderr } = made({ 'run.json': JSON.stringify(RUN), 'kubelet-': 'no space left\n' });
    expect(status).not.toBe(0);
    expect(stderr).toContain('kubelet- has no totals');
  });

  it('says how to keep a run if there is none', () => {
    const { status, stderr } = made({ 'unit.json': jestResult(1, 0, 0, 0, []) });
    expect(status).toBe(1);
    expect(stderr).toContain('RESULTS=DIR .ci/run');
  });
});
