import { runProxied, say } from '../../../src/cli/cri/proxied';
import { stoppedBySignal } from '../../../src/cli/cri/stop';

let before: ReadonlyMap<string | symbol, readonly unknown[]>;
let said: jest.SpyInstance;
beforeEach(() => {
  before = new Map(process.eventNames().map((name) => [name, process.listeners(name as 'SIGHUP')]));
  said = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const name of process.eventNames())
    for (const listener of process.listeners(name as 'SIGHUP'))
      if (before.get(name)?.includes(listener) !== true) process.removeListener(name, listener);
});

it.each(['SIGHUP', 'SIGTERM', 'SIGINT'] as const)(
  '%s ends a command in an orderly way, and a closed terminal does not kill it',
  async (name) => {
    const signal = stoppedBySignal((text) => say('replay', text));
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    process.emit(name, name);
    await aborted;
    expect(String(signal.reason)).toContain(`ended by ${name}`);
    expect(said.mock.calls).toEqual([
      [
        `dockbridge cri replay: ${name}: removing everything that was created; a second signal ends this at once\n`,
      ],
    ]);
    // A closed terminal sends SIGHUP twice, and the second one must not end the process.
    expect(process.listenerCount('SIGHUP')).toBeGreaterThan(0);
    process.stderr.emit('error', new Error('EIO'));
  },
);

it('a recording ends normally when the reader of its output has gone away', async () => {
  const none = { p50: 0, p99: 0, max: 0 };
  const stop = async () =>
    Promise.resolve({
      ...{ calls: 1, lost: 0, bytes: 7, isWhole: true },
      overhead: { ...none, calls: 1, loopDelayP99: 0 },
    });
  jest.spyOn(process.stdout, 'write').mockImplementation(((_text: string, done?: (error: Error) => void) => {
    const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    // Fails as a stream does: it calls the callback and every listener, and without a listener the process
    // ends.
    done?.(error);
    return process.stdout.emit('error', error);
  }) as typeof process.stdout.write);
  const command = { listen: 'unix:///run/a.sock', upstream: 'unix:///run/b.sock', unsafeFull: false };
  const ended = runProxied('record', command, 'x.tape', async () => Promise.resolve({ stop }));
  process.emit('SIGTERM', 'SIGTERM');
  expect(await ended).toBe(0);
});
