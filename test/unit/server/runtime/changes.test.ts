import Long from 'long';
import { EngineError } from '../../../../src/docker/errors';
import { Broadcast } from '../../../../src/lib/async/broadcast';
import { cancelled } from '../../../../src/lib/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { ContainerEventType } from '../../../../src/proto/enums';
import type { CheckpointRequest } from '../../../../src/server/checkpoint/checkpoint-to-archive';
import {
  engineFacts,
  grantable,
  hasSecurityOption,
  knownRuntimes,
  lookForHandler,
} from '../../../../src/server/engine-abilities';
import { checkpointContainer } from '../../../../src/server/runtime/checkpoint-container';
import { execSync } from '../../../../src/server/runtime/exec-sync';
import { getContainerEvents } from '../../../../src/server/runtime/get-container-events';
import { updateContainerResources } from '../../../../src/server/runtime/update-container-resources';
import type { Services } from '../../../../src/server/services';
import type { EngineFacts } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import type { PodEvent } from '../../../../src/translate/shared/lifecycle';
import { fakeDocker } from '../../../fakes/fake-docker';
import { rejectionOf, thrownBy } from '../../support/errors';
import { lifeWith } from '../../support/fake-life';
import { CREATED, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const mockArchives: CheckpointRequest[] = [];
let mockHasCriu = true;
jest.mock('../../../../src/server/checkpoint/checkpoint-to-archive', () => ({
  checkpointToArchive: (request: CheckpointRequest) => Promise.resolve(void mockArchives.push(request)),
  hasProgram: (name: string, path: string) =>
    Promise.resolve(mockHasCriu && name === 'criu' && path === process.env.PATH),
}));
const mockCommands: unknown[] = [];
jest.mock('../../../../src/server/exec/run-command', () => ({
  runCommand: (_: unknown, ...rest: unknown[]) => {
    mockCommands.push(rest);
    return Promise.resolve({ stdout: Buffer.from('out'), stderr: Buffer.from('err'), exitCode: 3 });
  },
}));

const { signal } = new AbortController();
const context = { signal };
const RUNNING = runningContainer();

let store: WritableStore;
let services: Services;
beforeEach(() => {
  mockHasCriu = true;
  mockArchives.length = mockCommands.length = 0;
  store = new WritableStore();
  store.engine = { experimental: true, runtimes: ['runc'], apiVersion: '1.51' } as unknown as EngineFacts;
  store.containers.put(RUNNING);
  services = { store, docker: fakeDocker({}), settings: { localEngine: true } } as unknown as Services;
});

describe('CheckpointContainer', () => {
  const ask = (more: object = {}) =>
    checkpointContainer(
      services,
      decoded('CheckpointContainerRequest', {
        container_id: RUNNING.id,
        location: '/var/x/./c.tar',
        ...more,
      }),
      context,
    );

  it('writes to the location, within its time', async () => {
    expect(await ask()).toEqual({});
    expect(await ask({ timeout: Long.fromNumber(7) })).toEqual({});
    const request = { id: RUNNING.id, location: '/var/x/c.tar', signal };
    for (const { docker } of mockArchives) expect(docker).toBe(services.docker);
    expect(mockArchives.map(({ docker: _, ...rest }) => rest)).toEqual([
      { ...request, timeoutMs: 120_000 },
      { ...request, timeoutMs: 7_000 },
    ]);
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
    expect(mockArchives).toEqual([]);
  });

  it.each<[string, () => void]>([
    [
      'the Engine runs on another machine',
      () => (services = { ...services, settings: { localEngine: false } as never }),
    ],
    ['"experimental": true', () => (store.engine = { ...store.engine!, experimental: false })],
    ['"experimental": true', () => (store.engine = undefined)],
    ['CRIU (criu) is not installed', () => (mockHasCriu = false)],
  ])('is not implemented where %s', async (why, change) => {
    change();
    const said = await rejectionOf(ask());
    expect(said).toMatch(/^UNIMPLEMENTED no checkpoints here: /);
    expect(said).toContain(why);
    expect(mockArchives).toEqual([]);
  });
});

describe('ExecSync', () => {
  const ask = (more: object = {}) =>
    execSync(
      services,
      decoded('ExecSyncRequest', { container_id: RUNNING.id, cmd: ['sh', 'x'], ...more }),
      context,
    );

  it('runs the command and tells how it ended', async () => {
    expect(await ask({ timeout: Long.fromNumber(9) })).toEqual({
      ...{ stdout: Buffer.from('out'), stderr: Buffer.from('err'), exit_code: 3 },
    });
    expect(mockCommands).toEqual([[RUNNING.id, ['sh', 'x'], 9, signal]]);
  });

  it.each<[object, RegExp]>([
    [{ cmd: [] }, /^INVALID_ARGUMENT cmd: /],
    [{ timeout: Long.fromNumber(-1) }, /^INVALID_ARGUMENT timeout: /],
    [{ timeout: Long.fromNumber(14 * 24 * 3600 + 1) }, /^INVALID_ARGUMENT timeout: /],
    [{ container_id: 'ff' }, /^NOT_FOUND /],
  ])('refuses %j', async (more, why) => {
    expect(await rejectionOf(ask(more))).toMatch(why);
    expect(mockCommands).toEqual([]);
  });
});

describe('GetContainerEvents', () => {
  it('tells what happens from its call on, and unsubscribes when its client leaves', async () => {
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

  it('asks the Engine for what is named, and for how it is then', async () => {
    expect(await ask({ linux: { cpu_shares: 512, memory_limit_in_bytes: 1_000_000 } })).toEqual({});
    expect(updates).toEqual([
      [RUNNING.id, { CpuShares: 512, Memory: 1_000_000, MemorySwap: 1_000_000 }, true],
    ]);
    expect(refreshed).toEqual([RUNNING.id]);
    expect(store.containers.get(RUNNING.id)?.resources).toMatchObject({ memoryLimit: 1_000_000 });
  });

  it.each([[{}], [{ linux: {} }], [{ linux: { cpu_shares: 0 } }]])(
    'asks for nothing with %j',
    async (more) => {
      expect(await ask(more)).toEqual({});
      expect([updates, refreshed]).toEqual([[], []]);
    },
  );

  it.each<[object, RegExp]>([
    [{ windows: {} }, /windows.*Linux node/],
    [{ annotations: { a: 'b' }, linux: { cpu_shares: 5 } }, /annotations.*nothing here would look at them/],
    [{ container_id: 'ff', linux: { cpu_shares: 5 } }, /^NOT_FOUND /],
    [{ linux: { cpu_quota: -2 } }, /^INVALID_ARGUMENT linux\./],
  ])('refuses %j', async (more, why) => {
    expect(await rejectionOf(ask(more))).toMatch(why);
    expect([updates, refreshed]).toEqual([[], []]);
  });

  it('reads how it is after a refusal, too', async () => {
    refuse = new EngineError('FAILED_PRECONDITION', 409, 'no');
    expect(await rejectionOf(ask({ linux: { cpu_shares: 512 } }))).toMatch(/^FAILED_PRECONDITION .*no/);
    expect(refreshed).toEqual([RUNNING.id]);
    expect(store.containers.get(RUNNING.id)?.resources.cpuShares).toBe(0);
  });
});

describe('what the Engine can do', () => {
  const link = (state: object, readFactsAgain = jest.fn(() => Promise.resolve())) =>
    ({ state, readFactsAgain }) as never;

  it('is unknown before its first answer, and why is said', () => {
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

  it('is told by whole names of options', () => {
    store.engine = { ...store.engine!, securityOptions: ['name=apparmor', 'name=seccomp,profile=builtin'] };
    expect(
      ['apparmor', 'seccomp', 'selinux', 'seccom', 'app'].map((name) => hasSecurityOption(store, name)),
    ).toEqual([...[true, true, false, false, false]]);
    expect(knownRuntimes(store)).toEqual({ runtimes: ['runc'], apiVersion: '1.51' });
  });

  it('is asked again for a handler that is unknown, and for no other', async () => {
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
