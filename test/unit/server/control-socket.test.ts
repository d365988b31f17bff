import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { createServer, type Server } from 'node:http';
import { askForStatus, askToHandOver } from '../../../src/server/client/control-client';
import { ControlSocket } from '../../../src/server/control-socket';
import type { StatusReport } from '../../../src/server/status-report';
import type { HandOverStep } from '../../../src/sync/hand-over';
import { rejectionOf } from '../support/errors';

const STEP: HandOverStep = { what: 'log', of: 'k8s_app', outcome: 'done', detail: 'is a link' };

let directory: string;
let socket: ControlSocket | undefined;
const path = (): string => join(directory, 'control.sock');

const REPORT = { version: '1', sandboxes: { ready: 2, notready: 0 } } as StatusReport;

async function* nothing(): AsyncGenerator<HandOverStep> {
  // There is no work to do.
}

async function open(
  handOver: () => AsyncIterable<HandOverStep>,
  status = () => Promise.resolve(REPORT),
): Promise<void> {
  socket = new ControlSocket({ path: path(), handOver, status, logger: silentLogger });
  await socket.listen();
}

async function asked(): Promise<HandOverStep[]> {
  const steps: HandOverStep[] = [];
  for await (const step of (await askToHandOver(path()))!) steps.push(step);
  return steps;
}

beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-'))));
afterEach(async () => {
  await socket?.close();
  socket = undefined;
  await rm(directory, { recursive: true });
});

describe('ControlSocket', () => {
  it('reports each step, and admits only its owner', async () => {
    await open(async function* () {
      yield await Promise.resolve(STEP);
      yield { ...STEP, outcome: 'failed' };
    });
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect(await asked()).toEqual([STEP, { ...STEP, outcome: 'failed' }]);
  });

  it('passes the error of a failed hand-over on to the caller', async () => {
    await open(async function* () {
      yield STEP;
      await Promise.reject(new Error('the Engine is away'));
    });
    expect(await rejectionOf(asked())).toBe('INTERNAL the Engine is away');
  });

  it('cannot be asked to hand over when no daemon listens', async () => {
    expect(await askToHandOver(path())).toBeUndefined();
  });

  it('answers status requests from many callers at once', async () => {
    await open(nothing);
    const answers = await Promise.all(Array.from({ length: 8 }, () => askForStatus(path())));
    expect(answers).toEqual(answers.map(() => REPORT));
  });

  it('admits a hand-over even while many callers watch the status', async () => {
    await open(async function* () {
      yield await Promise.resolve(STEP);
    });
    for (let look = 0; look < 20; look++) await askForStatus(path());
    expect(await asked()).toEqual([STEP]);
  });

  it('says why there is no status', async () => {
    await open(nothing, () => Promise.reject(new Error('no file can be opened')));
    expect(await rejectionOf(askForStatus(path()))).toMatch(
      /^UNAVAILABLE the daemon cannot report its status: .*no file can be opened/,
    );
  });

  it('does not wait for a status that never comes', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      let begun!: () => void;
      const hasBegun = new Promise<void>((resolve) => (begun = resolve));
      await open(nothing, () => {
        begun();
        return new Promise(() => undefined);
      });
      const answer = rejectionOf(askForStatus(path()));
      await hasBegun;
      // The limit of the daemon, 4 s, passes before that of the caller.
      jest.advanceTimersByTime(4_500);
      expect(await answer).toMatch(/The status took longer than 4000 ms/);
    } finally {
      jest.useRealTimers();
    }
  });

  it('gives no status if no daemon is there, and an error if the daemon is too old to know the request', async () => {
    expect(await askForStatus(path())).toBeUndefined();
    const old: Server = createServer((_request, response) => response.writeHead(404).end('POST /hand-over'));
    await new Promise<void>((resolve) => old.listen(path(), resolve));
    try {
      expect(await rejectionOf(askForStatus(path()))).toMatch(/^UNAVAILABLE .*older than this command/);
    } finally {
      old.close();
    }
  });

  it('is not read any further when an answer exceeds 1 MiB', async () => {
    const endless: Server = createServer((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more).on('error', () => undefined);
      more();
    });
    await new Promise<void>((resolve) => endless.listen(path(), resolve));
    try {
      expect(await rejectionOf(askForStatus(path()))).toMatch(/^INTERNAL .*longer than 1048576 bytes/);
    } finally {
      endless.closeAllConnections();
      endless.close();
    }
  });

  it('closes with its daemon, and reports to waiting callers that the work is not done', async () => {
    let begun!: () => void;
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    await open(async function* () {
      yield STEP;
      begun();
      await new Promise(() => undefined);
    });
    const answer = rejectionOf(asked());
    await hasBegun;
    await socket?.close();
    expect(await answer).toMatch(/^UNAVAILABLE .*repeat the command/);
    expect(await stat(path()).catch(() => undefined)).toBeUndefined();
  });
});
