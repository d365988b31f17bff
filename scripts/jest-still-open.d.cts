/** The reporter of jest.config.js, for its own test. */
export default class JestStillOpen {
  onRunComplete(
    contexts: unknown,
    results: {
      readonly numFailedTests: number;
      readonly numRuntimeErrorTestSuites: number;
      readonly wasInterrupted: boolean;
    },
  ): void;
}
