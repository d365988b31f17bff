import { ContainerSessions } from '../../../../src/containers/engine-ops';
import { SpoolMode } from '../../../../src/containers/creation';
import { silentLogger } from '../../../../src/lib/logger';
import { NamespaceMode } from '../../../../src/proto/enums';
import { runPodSandbox } from '../../../../src/server/runtime/run-pod-sandbox';
import type { Services } from '../../../../src/server/services';
import { NameReservations } from '../../../../src/store/name-reservations';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { rejectionOf } from '../../support/errors';
import { lifeWith } from '../../support/fake-life';
import { engineId, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const { signal } = new AbortController();
const context = { signal };

describe('RunPodSandbox', () => {
  const POD = sandboxRecord({ contents: undefined });
  const ID = engineId('fe');
  let store: WritableStore;
  let services: Services;
  let calls: unknown[];
  let fail: Record<string, Error>;
  let hasIt: boolean;
  beforeEach(() => {
    store = new WritableStore();
    [calls, fail, hasIt] = [[], {}, true];
    const step = (name: string, ...rest: unknown[]): Promise<void> => {
      calls.push([name, ...rest]);
      const error = fail[name];
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    };
    const docker = fakeDocker({
      createContainer: (name) => step('create', name).then(() => ID),
      startContainer: (id) => step('start', id),
      removeContainer: (id) =>
        step('remove', id).then(() => {
          store.sandboxes.delete(id);
        }),
    });
    const life = lifeWith(store, docker);
    const withContainer = life.withContainer.bind(life);
    life.withContainer = (id, given, work) =>
      withContainer(id, given, (held) =>
        work(
          Object.assign(Object.create(held) as typeof held, {
            inspect: () => step('inspect').then(() => ({ Id: ID })),
            settle: (_: unknown, occasion: string) =>
              step('settle', occasion).then(() => {
                if (hasIt) store.sandboxes.put({ ...POD, id: ID, engineName: 'new' });
              }),
          }),
        ),
      );
    services = {
      ...{ store, docker, life, logger: silentLogger, sessions: new ContainerSessions() },
      ...{ reservations: new NameReservations(), spoolMode: new SpoolMode(silentLogger) },
      network: {
        condition: () => ({ ready: true, reason: '', message: '' }),
        networkMode: 'none',
        attach: (inspect: { Id: string }, pod: { name?: string }, given: AbortSignal) =>
          step('attach', inspect.Id.slice(0, 2), given === signal),
        detach: (id: string, pid: number) => step('detach', id.slice(0, 2), pid),
      },
      checkpoints: { write: (id: string) => step('checkpoint', id.slice(0, 2)) },
      sandboxImage: { ensure: () => Promise.resolve('pause:1') },
      teardowns: { run: (_: string, work: (limit: AbortSignal) => Promise<boolean>) => work(signal) },
      settings: { localEngine: false, ipv6: false, oomFloor: -1000 },
    } as unknown as Services;
  });

  const config = (network: NamespaceMode = NamespaceMode.POD) => ({
    metadata: POD.metadata,
    linux: { security_context: { namespace_options: { network } } },
  });
  const ask = (network?: NamespaceMode) =>
    runPodSandbox(services, decoded('RunPodSandboxRequest', { config: config(network) }), context);
  const names = (): unknown[] => calls.map((call) => (call as unknown[])[0]);

  it('creates, records, starts, connects and settles a sandbox, in this order', async () => {
    expect(await ask()).toEqual({ pod_sandbox_id: ID });
    expect(calls).toEqual([
      ['create', expect.stringMatching(/^k8s_POD_web_shop_uid-1_0$/) as string],
      ['checkpoint', 'fe'],
      ['start', ID],
      ['inspect'],
      ['attach', 'fe', true],
      ['settle', 'started'],
    ]);
  });

  it('neither connects a pod on the host network nor requires the pod network to be ready', async () => {
    services.network.condition = () => ({ ready: false, reason: 'NoCni', message: 'no CNI configuration' });
    expect(await rejectionOf(ask())).toBe('FAILED_PRECONDITION no CNI configuration');
    expect(await ask(NamespaceMode.NODE)).toEqual({ pod_sandbox_id: ID });
    expect(names()).toEqual(['create', 'checkpoint', 'start', 'inspect', 'settle']);
  });

  it('returns the sandbox of an earlier call whose answer was lost', async () => {
    store.sandboxes.put(POD);
    expect(await ask()).toEqual({ pod_sandbox_id: POD.id });
    expect(calls).toEqual([]);
  });

  it('creates a new sandbox even if one exists for another attempt or for another pod of the same name', async () => {
    store.sandboxes.put({ ...POD, metadata: { ...POD.metadata, attempt: 1 } });
    store.sandboxes.put({
      ...POD,
      id: engineId('a2'),
      engineName: 'a2',
      metadata: { ...POD.metadata, uid: 'other' },
    });
    expect(await ask()).toEqual({ pod_sandbox_id: ID });
  });

  it('fails if the existing sandbox differs or still has containers', async () => {
    store.sandboxes.put({ ...POD, contents: { 'config.hostname': 'x' } });
    expect(await rejectionOf(ask())).toMatch(/^ALREADY_EXISTS sandbox .* already exists and differs in /);
    store.sandboxes.put({ ...POD, state: 'exited', pid: 0 });
    store.containers.put(runningContainer({ sandboxId: POD.id }));
    expect(await rejectionOf(ask())).toMatch(
      /^ALREADY_EXISTS sandbox .* already exists; it is stopped and still has containers/,
    );
    expect(calls).toEqual([]);
  });

  it('replaces a sandbox that is no longer usable', async () => {
    store.sandboxes.put({ ...POD, state: 'exited', pid: 0 });
    expect(await ask()).toEqual({ pod_sandbox_id: ID });
    expect(names().slice(0, 3)).toEqual(['detach', 'remove', 'create']);
  });

  it.each(['checkpoint', 'start', 'inspect', 'attach', 'settle'])(
    'leaves nothing behind when %s fails',
    async (step) => {
      fail[step] = new Error('torn');
      await expect(ask()).rejects.toThrow('torn');
      expect(names().at(-1)).toBe('remove');
    },
  );

  it('fails if the pause process has ended at once', async () => {
    hasIt = false;
    expect(await rejectionOf(ask())).toMatch(/^INTERNAL the pause process of .* is pause:1 a pause image\?/);
    expect(names().at(-1)).toBe('remove');
  });

  it('marks a sandbox that it cannot remove as never ready', async () => {
    fail = { start: new Error('torn'), remove: new Error('stuck') };
    const mark = jest.spyOn(services.life, 'markNeverReady');
    await expect(ask()).rejects.toThrow('torn');
    expect(mark.mock.calls).toEqual([[ID]]);
  });
});
