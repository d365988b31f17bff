import type { DockerClient } from '../../src/docker/client';
import type { cri } from '../../src/proto';
import { PodSandboxState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineCall, engineGet, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { standingIn, type StandIns } from './support/stand-in';
import { expectFailure, RawClient } from './support/grpc';
import {
  containerConfig,
  createContainer,
  podConfig,
  runPod,
  sandboxStatus,
  untilStore,
} from './support/pods';

interface Body {
  Id: string;
  Config: { Image: string; Labels: Record<string, string> };
}

const engineName = ({ metadata }: cri.IPodSandboxConfig): string =>
  `k8s_POD_${metadata?.name ?? ''}_${metadata?.namespace ?? ''}_${metadata?.uid ?? ''}_${metadata?.attempt ?? 0}`;

const named = async (name: string): Promise<Body[]> => {
  const filters = encodeURIComponent(JSON.stringify({ name: [`^/?${name}`] }));
  return (await engineGet(sharedDockerHost(), `/containers/json?all=1&filters=${filters}`)) as Body[];
};

const createOnEngine = async (name: string, body: object): Promise<string> =>
  ((await engineCall(sharedDockerHost(), 'POST', `/containers/create?name=${name}`, { json: body })) as Body)
    .Id;

const inspectOnEngine = async (id: string): Promise<Body> =>
  (await engineGet(sharedDockerHost(), `/containers/${id}/json`)) as Body;

describe('RunPodSandbox', () => {
  let test: TestDaemon;
  let raw: RawClient;
  let engine!: DockerClient;
  const faults: StandIns = {};
  beforeAll(async () => {
    test = await TestDaemon.start({
      wrapDocker: (client) => {
        engine = client;
        return standingIn(faults)(client);
      },
    });
    raw = new RawClient(test.endpoint);
  });
  afterEach(() => {
    faults.createContainer = undefined;
    faults.startContainer = undefined;
  });
  afterAll(async () => {
    raw.close();
    await test.stop();
  });

  /** Returns the body with which a lost call would have created the sandbox. */
  const leftoverOf = async (config: cri.IPodSandboxConfig): Promise<object> => {
    const id = await runPod(test, config);
    const { Config } = await inspectOnEngine(id);
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
    return { Image: Config.Image, Labels: Config.Labels };
  };

  it('gives the same id to the same request', async () => {
    const config = podConfig(test);
    const id = await runPod(test, config);
    expect(await runPod(test, config)).toBe(id);
    expect(await runPod(test, { ...config, metadata: { ...config.metadata, attempt: 1 } })).not.toBe(id);
  });

  it('makes one sandbox from identical simultaneous requests', async () => {
    const config = podConfig(test);
    const ids = await Promise.all([1, 2, 3, 4, 5, 6].map(() => runPod(test, config)));
    expect(new Set(ids).size).toBe(1);
    expect(await named(engineName(config))).toHaveLength(1);
  });

  it('replaces a sandbox that was created and never started', async () => {
    const config = podConfig(test);
    const left = await createOnEngine(engineName(config), await leftoverOf(config));
    await untilStore(test, () => test.daemon.store.sandboxes.get(left) !== undefined);
    expect((await sandboxStatus(test, left)).state).toBe(PodSandboxState.SANDBOX_NOTREADY);
    const id = await runPod(test, config);
    expect(id).not.toBe(left);
    expect((await named(engineName(config))).map(({ Id }) => Id)).toEqual([id]);
    expect((await sandboxStatus(test, id)).state).toBe(PodSandboxState.SANDBOX_READY);
  });

  it.each([
    { name: 'created', started: false },
    { name: 'running', started: true },
  ])('leaves one READY sandbox if the name conflict reveals a $name sandbox', async ({ started }) => {
    const config = podConfig(test);
    const body = await leftoverOf(config);
    let left = '';
    faults.createContainer = async (name, ...more) => {
      faults.createContainer = undefined;
      left = await createOnEngine(engineName(config), body);
      if (started) await engineCall(sharedDockerHost(), 'POST', `/containers/${left}/start`);
      return engine.createContainer(name, ...more);
    };
    const id = await runPod(test, config);
    expect(left).not.toBe('');
    if (started) expect(id).toBe(left);
    else expect(id).not.toBe(left);
    expect((await named(engineName(config))).map(({ Id }) => Id)).toEqual([id]);
    expect((await sandboxStatus(test, id)).state).toBe(PodSandboxState.SANDBOX_READY);
  });

  it('refuses a stopped sandbox that still has containers', async () => {
    const config = podConfig(test);
    const id = await runPod(test, config);
    await createContainer(test, id, containerConfig('main', 'true'));
    await test.client.call('StopPodSandbox', { pod_sandbox_id: id });
    await expectFailure(runPod(test, config), 'ALREADY_EXISTS', id);
  });

  it('replaces a stopped sandbox without containers', async () => {
    const config = podConfig(test);
    const id = await runPod(test, config);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: id });
    const next = await runPod(test, config);
    expect(next).not.toBe(id);
    expect((await named(engineName(config))).map(({ Id }) => Id)).toEqual([next]);
  });

  it('avoids the name of a foreign container, and finds the sandbox again after a restart', async () => {
    const config = podConfig(test);
    const stranger = await createOnEngine(engineName(config), { Image: TEST_IMAGE });
    try {
      const id = await runPod(test, config);
      expect(await runPod(test, config)).toBe(id);
      await test.restart();
      expect((await sandboxStatus(test, id)).metadata).toMatchObject(config.metadata as object);
      expect((await inspectOnEngine(stranger)).Id).toBe(stranger);
      expect(await runPod(test, config)).toBe(id);
    } finally {
      await engineCall(sharedDockerHost(), 'DELETE', `/containers/${stranger}`);
    }
  });

  describe('when the client gives up', () => {
    /** Lets the Engine do `step`, then delays its answer until the call is abandoned. */
    const loseReplyOf = (step: 'createContainer' | 'startContainer'): { reached: Promise<void> } => {
      let arrive!: () => void;
      const reached = new Promise<void>((resolve) => (arrive = resolve));
      const hold = async (signal: AbortSignal | undefined): Promise<never> => {
        arrive();
        // On a busy machine the call may be over before the Engine has done its part.
        signal?.throwIfAborted();
        return new Promise((_, reject) => {
          // On a busy machine the deadline may have passed before the Engine was done.
          if (signal?.aborted === true) reject(signal.reason as Error);
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
        });
      };
      if (step === 'createContainer')
        faults.createContainer = async (name, body, options) => {
          await engine.createContainer(name, body);
          return hold(options?.signal);
        };
      else
        faults.startContainer = async (id, options) => {
          await engine.startContainer(id);
          return hold(options?.signal);
        };
      return { reached };
    };
    const ready = async (config: cri.IPodSandboxConfig): Promise<string[]> => {
      const { items } = await test.client.call('ListPodSandbox', {
        filter: { state: { state: PodSandboxState.SANDBOX_READY } },
      });
      return items.filter(({ metadata }) => metadata?.uid === config.metadata?.uid).map(({ id }) => id);
    };

    it.each(['createContainer', 'startContainer'] as const)(
      'during %s leaves no sandbox READY, and a retry works',
      async (step) => {
        const config = podConfig(test);
        const { reached } = loseReplyOf(step);
        const call = raw.open('RunPodSandbox', { config });
        await reached;
        call.cancel();
        await expectFailure(call.ended, 'CANCELLED');
        faults[step] = undefined;
        const id = await runPod(test, config);
        expect(await ready(config)).toEqual([id]);
        expect((await named(engineName(config))).map(({ Id }) => Id)).toEqual([id]);
      },
    );

    it.each(['createContainer', 'startContainer'] as const)(
      'leaves no sandbox READY without a retry, after a deadline during %s',
      async (step) => {
        const config = podConfig(test);
        const { reached } = loseReplyOf(step);
        const ofPod = (): boolean =>
          [...test.daemon.store.sandboxes.values()].some(
            ({ metadata }) => metadata.uid === config.metadata?.uid,
          );
        // This deadline is longer than a busy machine needs to reach the step.
        const call = test.client.call('RunPodSandbox', { config }, 10_000);
        const failure = expectFailure(call, 'DEADLINE_EXCEEDED');
        await reached;
        await failure;
        // A lost create becomes known, so that kubelet's garbage collection finds it. A lost start is
        // undone.
        if (step === 'createContainer') await untilStore(test, ofPod);
        else await untilGoneFromEngine(engineName(config));
        expect(await ready(config)).toEqual([]);
      },
    );
  });
});

/** Polls until the Engine has no such container. The test asks the Engine itself, not the daemon. */
async function untilGoneFromEngine(name: string): Promise<void> {
  const end = Date.now() + 30_000;
  while ((await named(name)).length > 0) if (Date.now() > end) throw new Error(`${name} stays`);
}
