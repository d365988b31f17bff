'use strict';
const { renameSync, writeFileSync } = require('node:fs');
const process = require('node:process');

/**
 * Writes the results of jest so far to $JEST_RESULTS after each test file, in the form of `jest --json`.
 * That option itself writes only at the end. It would write nothing if the run died in the middle, or if a
 * failed assertion had a value that JSON cannot hold (a bigint).
 */
module.exports = class JestResults {
  running = '';
  last = undefined;

  constructor() {
    // With --runInBand, jest and the tests share this process. An error that is thrown while no test runs
    // would end it.
    process.on('uncaughtExceptionMonitor', (error) => {
      if (this.last !== undefined) this.write(this.last, false, String(error?.stack ?? error));
    });
  }

  onTestFileStart({ path }) {
    this.running = path;
  }

  onTestFileResult(_test, _result, results) {
    this.write(results, false);
  }

  onRunStart(results) {
    this.write(results, false);
  }

  onRunComplete(_contexts, results) {
    this.running = '';
    this.write(results, true);
  }

  write(results, isComplete, error = '') {
    this.last = results;
    const { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites, startTime } = results;
    const testResults = results.testResults.map((suite) => ({
      name: suite.testFilePath,
      status: suite.testExecError || suite.numFailingTests > 0 ? 'failed' : 'passed',
      endTime: suite.perfStats.end,
      message: suite.failureMessage ?? '',
      assertionResults: suite.testResults.map(({ fullName, status, failureMessages }) => {
        return { fullName, status, failureMessages };
      }),
    }));
    const counts = { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites };
    const found = { isComplete, running: this.running, error, startTime, ...counts, testResults };
    // The file is replaced in one step, because a run may be killed at any moment.
    writeFileSync(`${process.env.JEST_RESULTS}.new`, JSON.stringify(found));
    renameSync(`${process.env.JEST_RESULTS}.new`, process.env.JEST_RESULTS);
  }
};
