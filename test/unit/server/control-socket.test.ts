import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { askToHandOver } from '../../../src/server/client/control-client';
import { ControlSocket } from '../../../src/server/control-socket';
import type { HandOverStep } from '../../../src/sync/hand-over';
import { rejectionOf } from '../support/errors';

const STEP: HandOverStep = { what: 'log', of: 'k8s_app', outcome: 'done', detail: 'is a link' };

let directory: string;
let socket: ControlSocket | undefined;
const path = (): string => join(directory, 'control.sock');

async function open(handOver: () => AsyncIterable<HandOverStep>): Promise<void> {
  socket = new ControlSocket({ path: path(), handOver, logger: silentLogger });
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
  it('tells each step, and is for its owner alone', async () => {
    await open(async function* () {
      yield await Promise.resolve(STEP);
      yield { ...STEP, outcome: 'failed' };
    });
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect(await asked()).toEqual([STEP, { ...STEP, outcome: 'failed' }]);
  });

  it('tells a failure as one', async () => {
    await open(async function* () {
      yield STEP;
      await Promise.reject(new Error('the Engine is away'));
    });
    expect(await rejectionOf(asked())).toBe('INTERNAL the Engine is away');
  });

  it('is not there when no daemon runs', async () => {
    expect(await askToHandOver(path())).toBeUndefined();
  });

  it('goes away with its daemon, and whoever waits learns that it is not done', async () => {
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
