import { getEventListeners } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  failedRun,
  garbageAnswer,
  runPlugin,
  type CniPluginError,
  type PluginRun,
} from '../../../src/network/cni/run-plugin';
import { settle, until } from '../support/async';

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

  const run = (script: string, over: Partial<PluginRun> = {}): Promise<string> => {
    const path = join(directory, 'plugin');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return runPlugin({
      ...{ plugin: 'plugin', path, command: 'ADD', environment: {}, stdin: 'in' },
      ...{ timeoutMs: 10_000, signal: caller.signal },
      ...over,
    });
  };
  /** Everything that is reported about a failure. */
  const failure = async (running: Promise<string>): Promise<object> =>
    running.then(
      () => ({}),
      (error: unknown) => ({ ...(error as object), message: (error as Error).message }),
    );
  const failed = (code: string, message: string, more: object = {}): object => ({
    ...{ name: 'CniPluginError', plugin: 'plugin', command: 'ADD', code, message, ...more },
  });

  const nothingIsLeft = (): void => {
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  };

  it.each<{ desc: string; script: string; outcome: string | RegExp }>([
    { desc: 'that succeeds', script: 'cat', outcome: 'in' },
    { desc: 'that fails', script: 'exit 3', outcome: /exit code 3/ },
    {
      desc: 'that writes too much',
      script: 'head -c 2000000 /dev/zero; sleep 60',
      outcome: /wrote more than/,
    },
  ])('$desc leaves neither a timer nor a listener', async ({ script, outcome }) => {
    const answer = await run(script).catch((error: unknown) => (error as Error).message);
    if (typeof outcome === 'string') expect(answer).toBe(outcome);
    else expect(answer).toMatch(outcome);
    nothingIsLeft();
  });

  it.each<{ desc: string; end: () => unknown; why: RegExp }>([
    { desc: 'its time is up', end: () => jest.advanceTimersByTime(10_000), why: /longer than 10000 ms/ },
    { desc: 'its caller leaves', end: () => caller.abort(new Error('gone')), why: /^gone$/ },
  ])('ends when $desc, and leaves neither a timer nor a listener', async ({ end, why }) => {
    const running = run('exec sleep 60');
    await until(() => jest.getTimerCount() === 1, 'the start');
    end();
    await expect(running).rejects.toThrow(why);
    nothingIsLeft();
  });

  it.each([
    { closed: 'after a while', tries: 5, whose: 'a caller' },
    { closed: 'after a while', tries: 1, whose: 'nobody' },
    { closed: 'never', tries: 10, whose: 'a caller' },
  ])(
    'for $whose waits, for a limited time, while its binary is being written (closed: $closed)',
    async ({ closed, tries, whose }) => {
      const path = join(directory, 'plugin');
      writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 });
      const writer = openSync(path, 'a');
      let outcome: string | undefined;
      const running = run('cat', whose === 'nobody' ? { signal: undefined } : {}).then(
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
    },
  );

  it('has the environment of its call and of the daemon, its own process group, and the root directory', async () => {
    const script = 'echo "$CNI_COMMAND $CNI_IFNAME $FROM_DAEMON $# $PWD"; ps -o pgid= -p $$; echo $$';
    process.env.FROM_DAEMON = 'daemon';
    try {
      const environment = { CNI_COMMAND: 'no', CNI_IFNAME: 'eth0' };
      const [words, group, pid] = (await run(script, { environment })).split('\n');
      expect(words).toBe('ADD eth0 daemon 0 /');
      expect(group?.trim()).toBe(pid);
    } finally {
      delete process.env.FROM_DAEMON;
    }
  });

  it('reports its process before it writes the input, and reports its end', async () => {
    const story: unknown[] = [];
    const input = join(directory, 'input');
    const onStarted = (pid: number) => {
      story.push([typeof pid, existsSync(`/proc/${pid}`), existsSync(input)]);
      return Promise.resolve((ended: boolean) => Promise.resolve(void story.push(ended)));
    };
    await run(`read line; echo "$line" >${input}`, { onStarted, stdin: 'in\n' });
    expect(story).toEqual([['number', true, false], true]);
    expect(readFileSync(input, 'utf8')).toBe('in\n');
    await failure(run('exit 1', { onStarted }));
    expect(story.at(-1)).toBe(true);
    nothingIsLeft();
  });

  it('accepts a plugin that does not read its input and writes more to stderr than is kept', async () => {
    const stdin = 'x'.repeat(2_000_000);
    expect(await run('echo done', { stdin })).toBe('done\n');
    const said = await failure(
      run('head -c 40000 /dev/zero | tr "\\0" a >&2; yes b | head -c 900000 >&2; exit 1'),
    );
    expect(said).toEqual(
      failed('UNKNOWN', `CNI plugin "plugin" ended with exit code 1 on ADD and said: ${'a'.repeat(300)}…`, {
        ...{ exit: 'exit code 1', pluginCode: undefined },
      }),
    );
  });

  it('accepts an answer of a mebibyte, but no more', async () => {
    expect(await run('head -c 1048576 /dev/zero')).toHaveLength(1_048_576);
    expect(await failure(run('head -c 1048577 /dev/zero'))).toEqual(
      failed('UNKNOWN', 'CNI plugin "plugin" wrote more than 1048576 bytes on ADD'),
    );
  });

  it('does not begin for a caller that has left', async () => {
    caller.abort(new Error('gone'));
    const started = join(directory, 'started');
    await expect(run(`touch ${started}`)).rejects.toThrow('gone');
    expect(existsSync(started)).toBe(false);
  });

  it('says why a program cannot be run, and passes on other errors unchanged', async () => {
    const path = join(directory, 'missing');
    const told = (await failure(run('cat', { path }))) as Error;
    expect(told).toEqual(failed('FAILED_PRECONDITION', told.message));
    expect(told.message).toContain(`CNI plugin "plugin" cannot be run on ADD: ${path}: `);
    expect(told.message).toMatch(/spawn .* ENOENT$/);
    const onStarted = () => Promise.reject(new TypeError('a fault of ours'));
    await expect(run('exit', { onStarted })).rejects.toThrow(TypeError);
    nothingIsLeft();
  });

  it('works without a signal', async () => {
    expect(await run('cat', { signal: undefined })).toBe('in');
  });

  it('gives up on a plugin that does not end although it was killed', async () => {
    const kill = jest.spyOn(process, 'kill').mockReturnValue(true);
    try {
      const ends: boolean[] = [];
      let pid = 0;
      const onStarted = (started: number) => {
        pid = started;
        return Promise.resolve((ended: boolean) => Promise.resolve(void ends.push(ended)));
      };
      let outcome: object | undefined;
      void failure(run('exec sleep 60', { onStarted })).then((told) => (outcome = told));
      await until(() => jest.getTimerCount() === 1 && pid !== 0, 'the start');
      jest.advanceTimersByTime(10_000);
      await until(() => kill.mock.calls.length > 0, 'the kill');
      expect(kill.mock.calls).toEqual([[-pid, 'SIGKILL']]);
      caller.abort(new Error('too late'));
      jest.advanceTimersByTime(4_999);
      await settle();
      expect([outcome, ends]).toEqual([undefined, []]);
      jest.advanceTimersByTime(1);
      await until(() => outcome !== undefined, 'the end of the wait');
      expect(outcome).toEqual(
        failed(
          'DEADLINE_EXCEEDED',
          'CNI plugin "plugin" took longer than 10000 ms on ADD (--cni-timeout) and was killed',
        ),
      );
      expect(ends).toEqual([false]);
      kill.mockRestore();
      process.kill(pid, 'SIGKILL');
      nothingIsLeft();
    } finally {
      kill.mockRestore();
    }
  });

  it('ends although a descendant outside its group holds its output', async () => {
    const pidFile = join(directory, 'pid');
    const running = run(
      `setsid sh -c 'echo $$ >${pidFile}.new; mv ${pidFile}.new ${pidFile}; exec sleep 60' & wait`,
    );
    await until(() => existsSync(pidFile), 'the descendant');
    jest.advanceTimersByTime(10_000);
    await expect(running).rejects.toThrow('longer than 10000 ms');
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    nothingIsLeft();
  });
});

describe('the message of a failed plugin', () => {
  const partsOf = (error: CniPluginError): object => {
    const { name, plugin, command, code, message, pluginCode } = error;
    return { name, plugin, command, code, message, pluginCode };
  };
  const told = (over: Partial<Parameters<typeof failedRun>[0]>): object => {
    const error = failedRun({
      ...{ plugin: 'one', command: 'DEL', exit: 'exit code 1', stdout: '', stderr: '' },
      ...over,
    });
    return partsOf(error);
  };
  const failed = (message: string, code = 'UNKNOWN', more: object = {}): object => ({
    ...{ name: 'CniPluginError', plugin: 'one', command: 'DEL', code, message, ...more },
  });

  it.each<[string, object, object]>([
    [
      'a code alone',
      { code: 7 },
      failed('CNI plugin "one" failed on DEL (code 7): ', 'UNKNOWN', { pluginCode: 7 }),
    ],
    ['only a message', { msg: 'broken' }, failed('CNI plugin "one" failed on DEL: broken')],
    [
      'a code, a message and details',
      { code: 999, msg: 'broken', details: 'no bridge' },
      failed('CNI plugin "one" failed on DEL (code 999): broken: no bridge', 'UNKNOWN', { pluginCode: 999 }),
    ],
    [
      'the code for a later retry',
      { code: 11, msg: 'busy' },
      failed('CNI plugin "one" failed on DEL (code 11): busy', 'UNAVAILABLE', { pluginCode: 11 }),
    ],
    ['an invalid code', { code: '7', msg: 'broken' }, failed('CNI plugin "one" failed on DEL: broken')],
  ])('has %s', (_, answer, expected) => {
    expect(told({ stdout: JSON.stringify(answer), stderr: 'not this' })).toEqual(expected);
  });

  it.each([
    ['{"ok":true}', 'said: {"ok":true}', ''],
    [' a \n\t b ', 'said: a b', ' \n'],
    ['not this', 'said: panic', ' panic\n'],
    ['', 'said nothing', ''],
    ['x'.repeat(300), `said: ${'x'.repeat(300)}`, ''],
    ['x'.repeat(301), `said: ${'x'.repeat(300)}…`, ''],
  ])('is otherwise its output: %p', (stdout, said, stderr) => {
    expect(told({ stdout, stderr })).toEqual(
      failed(`CNI plugin "one" ended with exit code 1 on DEL and ${said}`),
    );
  });

  it('quotes an output that is not an answer', () => {
    const error = garbageAnswer('one', 'DEL', ' no\nJSON ');
    expect(partsOf(error)).toEqual(
      failed('CNI plugin "one" answered DEL with something that is not a JSON object: no JSON'),
    );
    expect(garbageAnswer('one', 'DEL', ' ').message).toBe('CNI plugin "one" answered DEL with nothing');
  });
});
