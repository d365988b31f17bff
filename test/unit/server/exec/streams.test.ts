import { PassThrough, type Duplex } from 'node:stream';
import { ContainerSessions } from '../../../../src/containers/engine-ops';
import type { DockerClient } from '../../../../src/docker/client';
import { EngineError } from '../../../../src/docker/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { Backlog, type StreamingParts } from '../../../../src/server/exec/client-streams';
import { streamAttach, streamExec } from '../../../../src/server/exec/engine-streaming';
import { WritableStore } from '../../../../src/store/store';
import { TerminalSizes } from '../../../../src/streaming/remotecommand/terminal-sizes';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle } from '../../support/async';
import { engineFrame } from '../../support/engine-frame';
import { rejectionOf } from '../../support/errors';
import { FINISHED, runningContainer } from '../../support/records';

const RUNNING = runningContainer({ stdin: true });
const EXITED = runningContainer({ state: 'exited', pid: 0, finishedAt: FINISHED });
const ENDED = { ID: 'e', Running: false, Pid: 7, ExitCode: 3 };
const SIZE = { width: 80, height: 24 };

let store: WritableStore;
let calls: unknown[];
let forgotten: string[];
let connection: PassThrough;
let gone: AbortController;
let client: { stdin?: PassThrough; stdout: PassThrough; stderr: PassThrough; sizes: TerminalSizes };
let docker: Partial<DockerClient>;
let sessions: ContainerSessions;
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  store = new WritableStore();
  store.containers.put(RUNNING);
  [calls, forgotten] = [[], []];
  connection = new PassThrough();
  gone = new AbortController();
  client = { stdout: new PassThrough(), stderr: new PassThrough(), sizes: new TerminalSizes() };
  sessions = new ContainerSessions();
  docker = {
    createExec: (id, command, options) => {
      calls.push(['createExec', id, command, options?.tty, options?.streams]);
      return Promise.resolve('e');
    },
    startExec: (id, options) => {
      calls.push(['startExec', id, options?.tty, options?.size]);
      return Promise.resolve(connection as Duplex);
    },
    resizeExec: (id, size) => Promise.resolve(void calls.push(['resizeExec', id, size])),
    inspectExec: (id) => {
      calls.push(['inspectExec', id]);
      return Promise.resolve(ENDED);
    },
    attachContainer: (id, streams) => {
      calls.push(['attachContainer', id, streams]);
      return Promise.resolve(connection as Duplex);
    },
    resizeContainer: (id, size) => Promise.resolve(void calls.push(['resizeContainer', id, size])),
    inspectContainer: () => Promise.resolve({ State: { Status: 'exited' } } as never),
  };
});
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

function parts(): StreamingParts {
  return {
    ...{ docker: fakeDocker(docker), store, logger: silentLogger, sessions, backlog: new Backlog() },
    settings: { localEngine: false },
    startedCommands: {
      note: ({ containerId, execId }: { containerId: string; execId: string }) => {
        calls.push(['note', containerId.slice(0, 2), execId]);
        return () => forgotten.push(execId);
      },
    },
  } as unknown as StreamingParts;
}
const streams = () => ({ stdin: undefined, ...client, gone: gone.signal });
const WANTED = { stdin: true, stdout: true, stderr: false };

describe('a command of a client', () => {
  const begin = (tty = false, stdin = true): Promise<number> => {
    const request = { containerId: RUNNING.id, command: ['sh'], ...WANTED, stdin, tty };
    const code = streamExec(parts(), request, streams());
    code.catch(() => undefined);
    return code;
  };

  it('is created, recorded and started, its exit code is requested, and its outputs are separate', async () => {
    const code = begin();
    await settle();
    connection.write(Buffer.concat([engineFrame(1, 'out'), engineFrame(2, 'err')]));
    connection.end();
    expect(await code).toBe(3);
    expect(calls).toEqual([
      ['createExec', RUNNING.id, ['sh'], false, { stdin: true, stdout: true, stderr: true }],
      ['note', 'c1', 'e'],
      ['startExec', 'e', false, undefined],
      ['inspectExec', 'e'],
    ]);
    expect([String(client.stdout.read()), String(client.stderr.read())]).toEqual(['out', 'err']);
    expect([forgotten, connection.destroyed]).toEqual([['e'], true]);
  });

  it('has the size of its terminal from the start, and follows later sizes', async () => {
    client.sizes.write('{"Width":80,"Height":24}');
    const code = begin(true, false);
    await settle();
    client.sizes.write('{"Width":132,"Height":43}');
    await settle();
    connection.end('raw');
    expect(await code).toBe(3);
    expect(calls).toEqual([
      ['createExec', RUNNING.id, ['sh'], true, { stdin: false, stdout: true, stderr: true }],
      ['note', 'c1', 'e'],
      ['startExec', 'e', true, SIZE],
      ['resizeExec', 'e', SIZE],
      ['resizeExec', 'e', SIZE],
      ['resizeExec', 'e', { width: 132, height: 43 }],
      ['inspectExec', 'e'],
    ]);
    expect(String(client.stdout.read())).toBe('raw');
  });

  it('waits 200 ms for a size, and then starts without one', async () => {
    const code = begin(true);
    await settle();
    await jest.advanceTimersByTimeAsync(199);
    expect(calls).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    await settle();
    expect(calls.at(-1)).toEqual(['startExec', 'e', true, undefined]);
    connection.end();
    expect(await code).toBe(3);
  });

  it("receives the client's input until the client ends it", async () => {
    client.stdin = new PassThrough();
    const heard: string[] = [];
    const both = new PassThrough();
    docker.startExec = () => Promise.resolve(Object.assign(both, {}) as Duplex);
    both.write = ((piece: Buffer) => heard.push(piece.toString()) > 0) as typeof both.write;
    both.end = (() => heard.push('end')) as unknown as typeof both.end;
    const code = begin();
    await settle();
    client.stdin.write('question');
    client.stdin.end();
    await settle();
    expect(heard.slice(0, 2)).toEqual(['question', 'end']);
    both.push(null);
    expect(await code).toBe(3);
    // Only the half that dockbridge reads has ended by itself, so dockbridge destroys the connection.
    expect(both.destroyed).toBe(true);
  });

  it('is forgotten if the Engine refuses its start, and not recorded if the Engine refuses to create it', async () => {
    docker.startExec = () => Promise.reject(new EngineError('FAILED_PRECONDITION', 409, 'paused'));
    expect(await rejectionOf(begin())).toBe('FAILED_PRECONDITION paused');
    expect(forgotten).toEqual(['e']);
    calls.length = 0;
    docker.createExec = () => Promise.reject(new EngineError('NOT_FOUND', 404, 'no such container'));
    expect(await rejectionOf(begin())).toBe('NOT_FOUND no such container');
    expect([calls, forgotten]).toEqual([[], ['e']]);
  });

  it('fails if the Engine no longer knows it, and the error says that the container has ended', async () => {
    docker.inspectExec = () => Promise.reject(new EngineError('NOT_FOUND', 404, 'no such exec'));
    const code = begin();
    await settle();
    connection.end();
    expect(await rejectionOf(code)).toMatch(
      /^FAILED_PRECONDITION container .* ended before its command could finish/,
    );
  });

  it('is given up half a second after the end of its container', async () => {
    const code = begin();
    await settle();
    store.containers.put(EXITED);
    await settle();
    await jest.advanceTimersByTimeAsync(499);
    expect(connection.destroyed).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(await rejectionOf(code)).toMatch(
      /^FAILED_PRECONDITION container .* ended before its command could finish/,
    );
    expect(connection.destroyed).toBe(true);
  });

  it('is disconnected when its client has left during its start', async () => {
    const starts = gate<Duplex>();
    docker.startExec = () => starts.promise;
    const code = begin();
    await settle();
    gone.abort(new Error('the client has left'));
    starts.resolve(connection);
    await expect(code).rejects.toThrow('the client has left');
    expect(connection.destroyed).toBe(true);
  });

  it('is disconnected and forgotten when its client leaves', async () => {
    const code = begin();
    await settle();
    gone.abort(new Error('the client has left'));
    await expect(code).rejects.toThrow('the client has left');
    // The Engine is on another machine, so dockbridge cannot kill the command and forgets it at once.
    expect([connection.destroyed, forgotten]).toEqual([true, ['e']]);
  });
});

describe('a client that attaches to the first process', () => {
  const begin = (stdin = true): Promise<void> => {
    const request = { containerId: RUNNING.id, ...WANTED, stdin, tty: false };
    const end = streamAttach(parts(), request, streams());
    end.catch(() => undefined);
    return end;
  };

  it.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
  ])(
    'may write input (requested: %s) only if the container has stdin (%s): %s',
    async (asked, has, given) => {
      store.containers.put({ ...RUNNING, stdin: has });
      const end = begin(asked);
      await settle();
      expect(calls).toEqual([['attachContainer', RUNNING.id, { stdin: given, stdout: true, stderr: true }]]);
      store.containers.put(EXITED);
      connection.end(engineFrame(1, 'out'));
      await end;
      expect([String(client.stdout.read()), connection.destroyed]).toEqual(['out', true]);
    },
  );

  it('sets the size of the terminal, and receives all output of the terminal as one stream', async () => {
    store.containers.put({ ...RUNNING, tty: true });
    client.sizes.write('{"Width":80,"Height":24}');
    const end = begin();
    await settle();
    store.containers.put({ ...EXITED, tty: true });
    connection.end('raw');
    await end;
    expect(calls.at(-1)).toEqual(['resizeContainer', RUNNING.id, SIZE]);
    expect(String(client.stdout.read())).toBe('raw');
  });

  it.each([
    ['is not there', () => store.containers.delete(RUNNING.id)],
    ['has ended', () => store.containers.put(EXITED)],
  ])('is refused if the container %s', async (_, change) => {
    change();
    expect(await rejectionOf(begin())).toBe(`FAILED_PRECONDITION container ${RUNNING.id} is not running`);
    expect(calls).toEqual([]);
  });

  it('gets an error if the container still runs five seconds after the end of the connection', async () => {
    const end = begin();
    await settle();
    connection.end();
    let isOver = false;
    end.catch(() => (isOver = true));
    await settle();
    await jest.advanceTimersByTimeAsync(4_999);
    expect(isOver).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(await rejectionOf(end)).toBe(
      `UNAVAILABLE the Engine has ended the session, but container ${RUNNING.id} still runs`,
    );
  });

  it("may leave, even while dockbridge waits for the container's end", async () => {
    const early = begin();
    await settle();
    gone.abort(new Error('the client has left'));
    await expect(early).rejects.toThrow('the client has left');
    gone = new AbortController();
    connection = new PassThrough();
    const late = begin();
    await settle();
    connection.end();
    await settle();
    gone.abort(new Error('left later'));
    await expect(late).rejects.toThrow('left later');
  });

  it.each([
    [true, true, false],
    [true, false, true],
    [false, true, true],
  ])(
    'may slow the container down only with stdin and in a container with stdin_once (stdin %s, stdin_once %s)',
    async (stdin, once, hurried) => {
      store.containers.put({ ...RUNNING, stdinOnce: once });
      const join = jest.spyOn(sessions, 'join');
      const end = begin(stdin);
      await settle();
      const place = join.mock.results[0]?.value as { hurried: AbortSignal };
      expect(place.hurried.aborted).toBe(hurried);
      store.containers.put({ ...EXITED, stdin: true });
      await settle();
      expect(place.hurried.aborted).toBe(true);
      connection.end();
      await end;
    },
  );
});
