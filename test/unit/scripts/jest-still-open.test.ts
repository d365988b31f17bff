import JestStillOpen from '../../../scripts/jest-still-open.cjs';

const PATIENCE_MS = 10_000;
const results = { numFailedTests: 0, numRuntimeErrorTestSuites: 0, wasInterrupted: false };

describe('jest, when something keeps it alive after its last test,', () => {
  let exits: unknown[];
  let written: string;
  beforeEach(() => {
    [exits, written] = [[], ''];
    jest.useFakeTimers();
    jest
      .spyOn(process, 'exit')
      .mockImplementation(((code?: number) => exits.push(code)) as typeof process.exit);
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => (written += String(text)) !== '');
  });
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
    delete process.env.DOCKBRIDGE_TEST_TEARDOWN;
  });
  const over = (changes: Partial<typeof results> = {}): void =>
    new JestStillOpen().onRunComplete(undefined, { ...results, ...changes });

  it('is ended with the exit code that it has chosen, and names what is open', () => {
    over();
    jest.advanceTimersByTime(PATIENCE_MS - 1);
    expect(exits).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(exits).toEqual([undefined]);
    expect(written).toMatch(/^These things keep jest alive .*\n( {2}.*\n)* {2}all kinds: /);
  });

  it.each<Partial<typeof results>>([
    { numFailedTests: 1 },
    { numRuntimeErrorTestSuites: 1 },
    { wasInterrupted: true },
  ])('is ended with 1 after a run that failed: %j', (failure) => {
    over(failure);
    jest.advanceTimersByTime(PATIENCE_MS);
    expect(exits).toEqual([1]);
  });

  it('is not ended while it still looks for what the tests have left on the machine', () => {
    process.env.DOCKBRIDGE_TEST_TEARDOWN = 'running';
    over();
    jest.advanceTimersByTime(6 * PATIENCE_MS);
    expect(exits).toEqual([]);
    delete process.env.DOCKBRIDGE_TEST_TEARDOWN;
    jest.advanceTimersByTime(PATIENCE_MS);
    expect(exits).toEqual([undefined]);
  });
});
