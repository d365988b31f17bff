// results-page.mjs DIR [FILE]: makes docs/results.md (FILE, or standard output) from the files of `RESULTS=DIR .ci/run`:
//   run.json                                         the machine, versions and date (run-facts.mjs)
//   steps                                            a line for each step: seconds, tab, passed or failed, tab, the command
//   unit, integration, integration-2, churn .json    the results of jest (jest-results.cjs)
//   SUITE-ENGINE                                     `N passed, N failed, N skipped`; without ENGINE: of the installed Engine
// A missing file makes no row, so the page lists only suites that ran.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { format } from 'prettier';

const number = (value) => value.toLocaleString('en');

/** Returns one row for jest's results, or none. The integration tests run in two simultaneous halves. */
function jestRow(directory, name, engine, files) {
  const halves = files
    .map((file) => join(directory, file))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')));
  if (halves.length === 0) return [];
  const sum = (count) => halves.reduce((total, half) => total + count(half), 0);
  const ends = halves.flatMap(({ testResults }) => testResults.map(({ endTime }) => endTime));
  const began = Math.min(...halves.map(({ startTime }) => startTime));
  const row = {
    name,
    engine,
    passed: sum((half) => half.numPassedTests),
    // A file that could not be loaded has no tests to count.
    failed: sum((half) => half.numFailedTests + half.numRuntimeErrorTestSuites),
    skipped: sum((half) => half.numPendingTests),
    seconds: Math.round((Math.max(began, ...ends) - began) / 1000),
  };
  return [row];
}

function suiteRows(directory, steps, names) {
  return readdirSync(directory)
    .map((file) => /^(conformance|conformance-upstream|kubelet|guest-test)-([\d.]*(?:-[a-z]+)?)$/.exec(file))
    .filter((match) => match !== null)
    .sort()
    .map(([file, suite, engine]) => {
      const text = readFileSync(join(directory, file), 'utf8');
      const counts = /^(\d+) passed, (\d+) failed, (\d+) skipped/.exec(text)?.slice(1).map(Number);
      if (counts === undefined) throw new Error(`${file} has no totals: ${text}`);
      const [passed, failed, skipped] = counts;
      const step = steps.find(({ command }) => `${command} `.includes(`make ${suite} ENGINE=${engine} `));
      return { name: names[suite], engine, passed, failed, skipped, seconds: step?.seconds };
    });
}

function readSteps(directory) {
  const file = join(directory, 'steps');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([seconds, outcome, command]) => ({
      seconds: Number(seconds),
      outcome,
      command: command.replace(/^env TOTALS=.*? (?=make )/, ''),
    }));
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function page(directory) {
  const run = JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8'));
  const steps = readSteps(directory);
  const engineName = (engine) =>
    engine || /^\d+\.\d+/.exec(run.engines.find((facts) => facts.engine === '')?.dockerd)?.[0] || 'installed';
  const rows = [
    ...jestRow(directory, 'unit tests', undefined, ['unit.json']),
    ...jestRow(directory, 'integration tests', run.testEngine, ['integration.json', 'integration-2.json']),
    ...jestRow(directory, 'churn', run.testEngine, ['churn.json']),
    ...suiteRows(directory, steps, {
      conformance: 'our conformance suite',
      'conformance-upstream': `critest ${run.critest}`,
      kubelet: `kubelet ${run.kubelet}, standalone`,
      'guest-test': 'the guest with systemd, cgroup v2 and AppArmor, short form',
    }),
  ];
  const failed = steps.filter(({ outcome }) => outcome !== 'passed');
  const commit = run.commit === null ? 'an unknown commit' : `commit ${run.commit.slice(0, 12)}`;
  return `# Results

<!-- Made by \`make results\` (CONTRIBUTING.md): not to be edited. -->

What \`.ci/run\` found on ${run.began.slice(0, 10)}, of ${commit}${run.changed ? ' with changes' : ''}, in
${number(run.seconds)} s; no number here is typed by hand. What is not listed was not run.
[conformance.md](conformance.md) says what the suites are, what they skip and why.

${table(
  ['suite', 'Engine', 'passed', 'failed', 'skipped', 'seconds'],
  rows.map((row) => [
    row.name,
    row.engine === undefined ? '–' : engineName(row.engine),
    ...[row.passed, row.failed, row.skipped].map(number),
    row.seconds === undefined ? '–' : number(row.seconds),
  ]),
)}

The seconds of a conformance suite, critest and kubelet count what they build first.
${failed.length === 0 ? 'No step failed.' : `Steps that failed:\n\n${failed.map(({ command }) => `- \`${command}\``).join('\n')}`}

## Machine and versions

${run.system}, kernel ${run.kernel}, ${run.architecture}, ${run.processors} processors, cgroups ${run.cgroups}, Node.js ${run.node}.

${
  run.engines.length === 0
    ? 'No Engine ran.'
    : table(
        ['Engine', 'dockerd', 'containerd', 'runc'],
        run.engines.map((facts) => [engineName(facts.engine), facts.dockerd, facts.containerd, facts.runc]),
      )
}
`;
}

const [directory, file] = process.argv.slice(2);
if (!directory || !existsSync(join(directory, 'run.json'))) {
  console.error(
    `results: there is no run in '${directory ?? ''}' (RESULTS=DIR .ci/run keeps one, then make results RESULTS=DIR)`,
  );
  process.exit(1);
}
const text = await format(page(directory), { parser: 'markdown' });
if (file) writeFileSync(file, text);
else process.stdout.write(text);
