// totals.mjs RESULTS [FILE]: prints a table with the results of the guest's suites, and each failure. FILE gets the line
// `N passed, N failed, N skipped`. Exits with 1 if a test failed, or if a suite that began left no results.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, totals] = process.argv.slice(2);
const read = (name) => readFileSync(join(directory, name), 'utf8');

/**
 * Each function reads the results of one suite, and returns for each test whether it passed, failed or was
 * skipped, and why.
 */
const READERS = {
  // critest's report also lists the tests that its command line leaves out. They have no message, and are not counted.
  critest: () =>
    JSON.parse(read('critest.json'))
      .flatMap(({ SpecReports }) => SpecReports ?? [])
      .filter(
        ({ LeafNodeType, State, Failure }) =>
          LeafNodeType === 'It' && (State !== 'skipped' || Failure?.Message),
      )
      .map(({ ContainerHierarchyTexts, LeafNodeText, State, Failure }) => ({
        name: [...ContainerHierarchyTexts, LeafNodeText].join(' '),
        outcome: ['passed', 'skipped'].includes(State) ? State : 'failed',
        message: Failure?.Message ?? State,
      })),
  integration: () =>
    JSON.parse(read('jest.json')).testResults.flatMap(({ name, message, assertionResults }) =>
      // A file that cannot be loaded has no tests to count.
      assertionResults.length === 0
        ? [{ name, outcome: 'failed', message }]
        : assertionResults.map(({ fullName, status, failureMessages }) => ({
            name: fullName,
            outcome: ['passed', 'failed'].includes(status) ? status : 'skipped',
            message: failureMessages.join('\n'),
          })),
    ),
  // The suite's own report has printed each failure.
  conformance: () => {
    const counts = /^(\d+) passed, (\d+) failed, (\d+) skipped/.exec(read('ours.totals'));
    return ['passed', 'failed', 'skipped'].flatMap((outcome, at) =>
      Array.from({ length: Number(counts[at + 1]) }, () => ({ name: 'see above', outcome, message: '' })),
    );
  },
};

const all = { passed: 0, failed: 0, skipped: 0 };
for (const file of readdirSync(directory).filter((name) => name.endsWith('.exit'))) {
  const suite = file.slice(0, -'.exit'.length);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  let tests;
  try {
    tests = READERS[suite]?.() ?? [
      { name: suite, outcome: read(file) === '0\n' ? 'passed' : 'failed', message: '' },
    ];
  } catch (error) {
    tests = [{ name: suite, outcome: 'failed', message: `no results: ${error.message}` }];
  }
  for (const { name, outcome, message } of tests) {
    counts[outcome] += 1;
    all[outcome] += 1;
    if (outcome === 'failed') console.log(`FAILED ${suite}: ${name}\n${message.replace(/^/gm, '    ')}`);
  }
  console.log(
    `${suite.padEnd(14)}${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`,
  );
}
// The guest writes this file when it has finished.
if (!existsSync(join(directory, 'complete'))) {
  console.log('FAILED the guest did not finish');
  all.failed += 1;
}
const line = `${all.passed} passed, ${all.failed} failed, ${all.skipped} skipped`;
console.log(line);
if (totals) writeFileSync(totals, `${line}\n`);
process.exit(all.failed === 0 && all.passed > 0 ? 0 : 1);
