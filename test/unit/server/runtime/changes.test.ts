import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import Long from 'long';
import { EngineError } from '../../../../src/docker/errors';
import { Broadcast } from '../../../../src/lib/async/broadcast';
import { cancelled } from '../../../../src/lib/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { ContainerEventType } from '../../../../src/proto/enums';
import { checkpointContainer } from '../../../../src/server/runtime/checkpoint-container';
import {
  engineFacts,
  grantable,
  hasSecurityOption,
  knownRuntimes,
  lookForHandler,
} from '../../../../src/server/engine-abilities';
import { OutputBudget } from '../../../../src/server/exec/captured-output';
import { execSync } from '../../../../src/server/runtime/exec-sync';
import { getContainerEvents } from '../../../../src/server/runtime/get-container-events';
import { updateContainerResources } from '../../../../src/server/runtime/update-container-resources';
import type { Services } from '../../../../src/server/services';
import type { EngineFacts } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import type { PodEvent } from '../../../../src/translate/shared/lifecycle';
import { fakeDocker } from '../../../fakes/fake-docker';
import { engineFrame } from '../../support/engine-frame';
import { rejectionOf, thrownBy } from '../../support/errors';
import { lifeWith } from '../../support/fake-life';
import { CREATED, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

let mockHasCriu = true;
jest.mock('../../../../src/node/programs', () => ({
  hasProgram: (name: string, path: string) =>
    Promise.resolve(mockHasCriu && name === 'criu' && path === process.env.PATH),
}));

const { signal } = new AbortController();
const context = { signal };
const RUNNING = runningContainer();

let store: WritableStore;
let services: Services;
beforeEach(() => {
  mockHasCriu = true;
  store = new WritableStore();
  store.engine = { experimental: true, runtimes: ['runc'], apiVersion: '1.51' } as unknown as EngineFacts;
  store.containers.put(RUNNING);
  services = { store, docker: fakeDocker({}), settings: { localEngine: true } } as unknown as Services;
});

describe('CheckpointContainer', () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-changes-'))));
  afterEach(() => rm(directory, { recursive: true }));

  const ask = (more: object = {}) =>
    checkpointContainer(
      services,
      decoded('CheckpointContainerRequest', {
        container_id: RUNNING.id,
        location: `${directory}/./c.tar`,
        ...more,
      }),
      context,
    );

  it('writes to the location, within 120 s or the requested time', async () => {
    const asked: unknown[] = [];
    const docker = fakeDocker({
      checkpointContainer: async (id, into, name, timeoutMs) => {
        asked.push([id, dirname(into), timeoutMs]);
        await mkdir(join(into, name));
      },
    });
    services = { ...services, docker };
    expect(await ask()).toEqual({});
    expect(await ask({ timeout: Long.fromNumber(7) })).toEqual({});
    expect(asked).toEqual([
      [RUNNING.id, directory, 120_000],
      [RUNNING.id, directory, 7_000],
    ]);
    expect(await readdir(directory)).toEqual(['c.tar']);
  });

  it.each<[object, RegExp]>([
    [{ location: '' }, /^INVALID_ARGUMENT location: /],
    [{ location: 'x/c.tar' }, /^INVALID_ARGUMENT location: x\/c\.tar is not the absolute path of a file/],
    [{ location: '/var/x/' }, /^INVALID_ARGUMENT location: \/var\/x\/ is not/],
    [{ timeout: Long.fromNumber(-1) }, /^INVALID_ARGUMENT timeout: /],
    [{ timeout: Long.fromNumber(24 * 3600 + 1) }, /^INVALID_ARGUMENT timeout: /],
    [{ container_id: 'ff' }, /^NOT_FOUND /],
  ])('refuses %j', async (more, why) => {
    expect(await rejectionOf(ask(more))).toMatch(why);
  });

  it.each<[string, () => void]>([
    [
      'the Engine runs on another machine',
      () => (services = { ...services, settings: { localEngine: false } as never }),
    ],
    ['"experimental": true', () => (store.engine = { ...store.engine!, experimental: false })],
    ['"experimental": true', () => (store.engine = undefined)],
    ['CRIU (criu) is not installed', () => (mockHasCriu = false)],
  ])('is not implemented, with an error that contains: %s', async (why, change) => {
    change();
    const said = await rejectionOf(ask());
    expect(said).toMatch(/^UNIMPLEMENTED cannot checkpoint: /);
    expect(said).toContain(why);
  });
});

describe('ExecSync', () => {
  const ask = (more: object = {}) =>
    execSync(
      services,
      decoded('ExecSyncRequest', { container_id: RUNNING.id, cmd: ['sh', 'x'], ...more }),
      context,
    );

  it('runs the command and returns its result', async () => {
    const stream = new PassThrough();
    for (const [from, text] of [
      [1, 'out'],
      [2, 'err'],
    ] as const)
      stream.write(engineFrame(from, text));
    const created: unknown[] = [];
    services = {
      ...services,
      docker: fakeDocker({
        createExec: (...[id, command]) => Promise.resolve((created.push([id, command]), 'e')),
        startExec: () => Promise.resolve(stream),
        inspectExec: () => Promise.resolve({ ID: 'e', Running: false, ExitCode: 3, Pid: 4711 }),
      }),
      settings: { localEngine: false },
      outputBudget: new OutputBudget(),
      startedCommands: { left: [], note: () => () => undefined },
    } as unknown as Services;
    stream.end();
    expect(await ask({ timeout: Long.fromNumber(9) })).toEqual({
      ...{ stdout: Buffer.from('out'), stderr: Buffer.from('err'), exit_code: 3 },
    });
    expect(created).toEqual([[RUNNING.id, ['sh', 'x']]]);
  });

  it.each<[object, RegExp]>([
    [{ cmd: [] }, /^INVALID_ARGUMENT cmd: /],
    [{ timeout: Long.fromNumber(-1) }, /^INVALID_ARGUMENT timeout: /],
    [{ timeout: Long.fromNumber(14 * 24 * 3600 + 1) }, /^INVALID_ARGUMENT timeout: /],
    [{ container_id: 'ff' }, /^NOT_FOUND /],
  ])('refuses %j', async (more, why) => {
    expect(await rejectionOf(ask(more))).toMatch(why);
  });
});

describe('GetContainerEvents', () => {
  it('sends events from its call on, and unsubscribes when its client leaves', async () => {
    const broadcast = new Broadcast<PodEvent>(10, () => undefined);
    services = { ...services, podEvents: { subscribe: () => broadcast.subscribe() } as never };
    const call = new AbortController();
    const events = getContainerEvents(services, {}, { signal: call.signal })[Symbol.asyncIterator]();
    expect(broadcast.readerCount).toBe(1);
    const type = ContainerEventType.CONTAINER_STARTED_EVENT;
    const sandbox = sandboxRecord();
    broadcast.publish({ containerId: RUNNING.id, type, at: CREATED, sandbox, containers: [RUNNING] });
    expect((await events.next()).value).toMatchObject({
      container_id: RUNNING.id,
      container_event_type: type,
      created_at: CREATED,
    });
    const next = events.next();
    call.abort(cancelled('left'));
    expect(await rejectionOf(next)).toBe('CANCELLED left');
    expect(broadcast.readerCount).toBe(0);
  });
});

describe('UpdateContainerResources', () => {
  let updates: unknown[];
  let refreshed: string[];
  let refuse: Error | undefined;
  beforeEach(() => {
    [updates, refreshed, refuse] = [[], [], undefined];
    const docker = fakeDocker({
      updateContainer: (id, update, options) => {
        updates.push([id, update, options?.signal === signal]);
        return refuse === undefined ? Promise.resolve() : Promise.reject(refuse);
      },
    });
    const life = lifeWith(store, docker, (id) => Promise.resolve(void refreshed.push(id)));
    services = { ...services, docker, life, logger: silentLogger, settings: { localEngine: false } as never };
  });
  const ask = (more: object) =>
    updateContainerResources(
      services,
      decoded('UpdateContainerResourcesRequest', { container_id: RUNNING.id, ...more }),
      context,
    );

  it('updates the named limits in the Engine, and inspects the container afterwards', async () => {
    expect(await ask({ linux: { cpu_shares: 512, memory_limit_in_bytes: 1_000_000 } })).toEqual({});
    expect(updates).toEqual([
      [RUNNING.id, { CpuShares: 512, Memory: 1_000_000, MemorySwap: 1_000_000 }, true],
    ]);
    expect(refreshed).toEqual([RUNNING.id]);
    expect(store.containers.get(RUNNING.id)?.resources).toMatchObject({ memoryLimit: 1_000_000 });
  });

  it.each([[{}], [{ linux: {} }], [{ linux: { cpu_shares: 0 } }]])(
    'sends nothing to the Engine for %j',
    async (more) => {
      expect(await ask(more)).toEqual({});
      expect([updates, refreshed]).toEqual([[], []]);
    },
  );

  it.each<[object, RegExp]>([
    [{ windows: {} }, /windows.*Linux node/],
    [{ annotations: { a: 'b' }, linux: { cpu_shares: 5 } }, /annotations.*dockbridge does not use them/],
    [{ container_id: 'ff', linux: { cpu_shares: 5 } }, /^NOT_FOUND /],
    [{ linux: { cpu_quota: -2 } }, /^INVALID_ARGUMENT linux\./],
  ])('refuses %j', async (more, why) => {
    expect(await rejectionOf(ask(more))).toMatch(why);
    expect([updates, refreshed]).toEqual([[], []]);
  });

  it('inspects the container after a refusal, too', async () => {
    refuse = new EngineError('FAILED_PRECONDITION', 409, 'no');
    expect(await rejectionOf(ask({ linux: { cpu_shares: 512 } }))).toMatch(/^FAILED_PRECONDITION .*no/);
    expect(refreshed).toEqual([RUNNING.id]);
    expect(store.containers.get(RUNNING.id)?.resources.cpuShares).toBe(0);
  });
});

describe('the features of the Engine', () => {
  const link = (state: object, readFactsAgain = jest.fn(() => Promise.resolve())) =>
    ({ state, readFactsAgain }) as never;

  it('are unknown before its first answer, with the reason', () => {
    expect(engineFacts({ store, link: link({ ready: true }) })).toBe(store.engine);
    store.engine = undefined;
    expect(thrownBy(() => engineFacts({ store, link: link({ ready: true }) }))).toBe(
      'UNAVAILABLE Docker Engine has not answered yet',
    );
    expect(thrownBy(() => engineFacts({ store, link: link({ ready: false, reason: 'refused' }) }))).toBe(
      'UNAVAILABLE refused',
    );
    expect(knownRuntimes(store)).toEqual({ runtimes: [], apiVersion: '' });
    expect(hasSecurityOption(store, 'apparmor')).toBe(false);
    expect(grantable(store, ['CHOWN'])).toEqual(['CHOWN']);
  });

  it('are found only by the full names of the security options', () => {
    store.engine = { ...store.engine!, securityOptions: ['name=apparmor', 'name=seccomp,profile=builtin'] };
    expect(
      ['apparmor', 'seccomp', 'selinux', 'seccom', 'app'].map((name) => hasSecurityOption(store, name)),
    ).toEqual([...[true, true, false, false, false]]);
    expect(knownRuntimes(store)).toEqual({ runtimes: ['runc'], apiVersion: '1.51' });
  });

  it('are read again for an unknown handler, and for no other', async () => {
    const again = jest.fn<Promise<void>, [AbortSignal]>(() => Promise.resolve());
    const look = (handler: string, given = signal) =>
      lookForHandler({ store, link: link({}, again as never), logger: silentLogger }, handler, given);
    await look('runc');
    await look('');
    expect(again).not.toHaveBeenCalled();
    await look('kata');
    expect(again.mock.calls).toEqual([[signal]]);
    again.mockRejectedValue(new Error('no answer'));
    await look('kata');
    const call = new AbortController();
    again.mockImplementation(() => {
      call.abort(cancelled('left'));
      return Promise.reject(new Error('no answer'));
    });
    expect(await rejectionOf(look('kata', call.signal))).toBe('CANCELLED left');
  });
});
