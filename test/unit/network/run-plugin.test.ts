import { getEventListeners } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runPlugin } from '../../../src/network/cni/run-plugin';
import { until } from '../support/async';

describe('one run of a plugin', () => {
  let directory: string;
  let caller: AbortController;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'run-plugin-'));
    caller = new AbortController();
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
    rmSync(directory, { recursive: true });
  });

  const run = (script: string): Promise<string> => {
    const path = join(directory, 'plugin');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return runPlugin({
      ...{ plugin: 'plugin', path, command: 'ADD', environment: {}, stdin: 'in' },
      ...{ timeoutMs: 10_000, signal: caller.signal },
    });
  };

  const nothingIsLeft = (): void => {
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  };

  it.each<{ desc: string; script: string; outcome: string | RegExp }>([
    { desc: 'that succeeds', script: 'cat', outcome: 'in' },
    { desc: 'that fails', script: 'exit 3', outcome: /exit code 3/ },
    { desc: 'that floods us', script: 'head -c 2000000 /dev/zero; sleep 60', outcome: /wrote more than/ },
  ])('$desc leaves neither a timer nor a listener', async ({ script, outcome }) => {
    const answer = await run(script).catch((error: unknown) => (error as Error).message);
    if (typeof outcome === 'string') expect(answer).toBe(outcome);
    else expect(answer).toMatch(outcome);
    nothingIsLeft();
  });

  it.each<{ desc: string; end: () => unknown; why: RegExp }>([
    { desc: 'its time is over', end: () => jest.advanceTimersByTime(10_000), why: /longer than 10000 ms/ },
    { desc: 'its caller leaves', end: () => caller.abort(new Error('gone')), why: /^gone$/ },
  ])('ends when $desc, and leaves neither a timer nor a listener', async ({ end, why }) => {
    const running = run('exec sleep 60');
    await until(() => jest.getTimerCount() === 1, 'the start');
    end();
    await expect(running).rejects.toThrow(why);
    nothingIsLeft();
  });

  it.each([
    { closed: 'after a while', tries: 5 },
    { closed: 'never', tries: 10 },
  ])('waits for a binary that is being written, which ends $closed', async ({ closed, tries }) => {
    const path = join(directory, 'plugin');
    writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 });
    const writer = openSync(path, 'a');
    let outcome: string | undefined;
    const running = run('cat').then(
      (answer) => (outcome = answer),
      (error: unknown) => (outcome = (error as Error).message),
    );
    for (let attempt = 0; attempt < tries; attempt++) {
      await until(() => jest.getTimerCount() === 1, 'the next pause');
      expect(outcome).toBeUndefined();
      if (closed === 'after a while' && attempt === tries - 1) closeSync(writer);
      jest.advanceTimersByTime(100);
    }
    await running;
    if (closed === 'never') closeSync(writer);
    expect(outcome).toMatch(closed === 'never' ? /cannot be run on ADD: .*ETXTBSY/ : /^in$/);
    nothingIsLeft();
  });
});
