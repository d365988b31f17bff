import { readRules, rulesFor } from '../../../src/harness/compare/rules';
import { Awaiting, type Reached } from '../../../src/harness/drive/awaiting';
import type { Runtime } from '../../../src/harness/compare/runtime-match';
import { Bindings } from '../../../src/harness/drive/bindings';
import type { Driven } from '../../../src/harness/drive/endpoint';
import { Explained } from '../../../src/harness/drive/explained';
import type { Made } from '../../../src/harness/drive/replay-plan';
import type { JsonObject } from '../../../src/proto/fields';

const DOCKER = { name: 'docker', version: '28.5' };
const CONTAINERD = { name: 'containerd', version: '2.1.9' };

interface Scene {
  readonly method?: string;
  readonly tape?: Runtime;
  readonly live?: Runtime;
  readonly was: JsonObject;
  /** The states of the endpoint's containers in an earlier list. */
  readonly states?: Readonly<Record<string, string>>;
  /** A file of rules. */
  readonly rules?: string;
  /** The code on the tape. */
  readonly code?: string;
  readonly is: JsonObject;
  /** The codes of the endpoint's answers, in order; the last one is repeated. */
  readonly codes?: readonly string[];
  readonly endsAlone?: readonly string[];
  readonly waitMs?: number;
  readonly sinceMs?: number;
}

/** Replays one poll of a tape. Its ids begin with `tape-`, and those of the endpoint with `live-`. */
async function reached(scene: Scene): Promise<(Reached & { readonly asked: number }) | undefined> {
  const { method = 'ContainerStatus', was, is, endsAlone = [], waitMs = 0, sinceMs = 0 } = scene;
  const { tape = CONTAINERD, live = DOCKER, code = 'OK', codes = ['OK'] } = scene;
  const bindings = new Bindings();
  const made = new Map<string, Made>();
  for (const name of ['main', 'job']) {
    bindings.bind(`tape-${name}`, `live-${name}`);
    made.set(`tape-${name}`, { what: 'container', identity: `test/web/0/${name}/0` });
  }
  bindings.bind('sha256:tape', 'sha256:live');
  const explained = new Explained(
    rulesFor(tape, live, scene.rules === undefined ? [] : readRules(scene.rules, 'mine')),
    tape,
    live,
    (id) => id,
  );
  const awaiting = new Awaiting({
    bindings,
    plan: { made, endsAlone: new Set(endsAlone) },
    explained,
    waitMs,
  });
  const call = { ...{ n: 1, t: 9_000, end: 9_000, ms: 1, request: {}, status: code }, faults: [] };
  const { signal } = new AbortController();
  if (scene.states !== undefined) {
    const [response, answer] = ['tape', 'live'].map((side) => list(side, scene.states ?? {}));
    const poll = { ...call, method: 'ListContainers', status: 'OK', ...(response && { response }) };
    await awaiting.reach(poll, 0, signal, async () =>
      Promise.resolve({ ms: 1, status: 'OK', ...(answer && { response: answer }) }),
    );
  }
  let asked = 0;
  const ask = async (): Promise<Driven> => {
    const status = codes[Math.min(asked++, codes.length - 1)] ?? '';
    return Promise.resolve({ ms: 1, status, ...(status === 'OK' ? { response: is } : {}) });
  };
  const done = await awaiting.reach({ ...call, method, response: was }, sinceMs, signal, ask);
  return done && { ...done, asked };
}

const status = (id: string, state: string): JsonObject => ({ status: { id, state } });
const list = (side: string, states: Readonly<Record<string, string>>): JsonObject => ({
  containers: Object.entries(states).map(([name, state]) => ({ id: `${side}-${name}`, state })),
});

describe('Awaiting', () => {
  it('does not wait for hours for a state that came hours after the last change', async () => {
    const was = status('tape-main', 'CONTAINER_EXITED');
    const is = status('live-main', 'CONTAINER_RUNNING');
    // It waits at most two minutes in addition to `waitMs`, so 50 ms here.
    const scene = { was, is, sinceMs: 7_200_000, waitMs: -119_950 };
    expect(await reached(scene)).toMatchObject({ driven: { response: is }, isPassed: false });
  });

  it.each([
    { desc: 'that ends by itself', endsAlone: ['tape-job'], isPassed: true },
    { desc: 'that others end', endsAlone: [], isPassed: false },
  ])('recognizes that the state of a container $desc is over: $isPassed', async ({ endsAlone, isPassed }) => {
    const was = list('tape', { main: 'CONTAINER_RUNNING', job: 'CONTAINER_RUNNING' });
    const is = list('live', { main: 'CONTAINER_RUNNING', job: 'CONTAINER_EXITED' });
    const scene = { method: 'ListContainers', was, is, endsAlone, waitMs: isPassed ? 60_000 : 50 };
    expect(await reached(scene)).toMatchObject({ isPassed });
  });

  it('waits for a container that is missing although another state is over', async () => {
    const was = list('tape', { main: 'CONTAINER_RUNNING', job: 'CONTAINER_RUNNING' });
    const is = list('live', { job: 'CONTAINER_EXITED' });
    const scene = { method: 'ListContainers', was, is, endsAlone: ['tape-job'], waitMs: 50 };
    expect(await reached(scene)).toMatchObject({ isPassed: false });
  });

  it('does not wait for images', async () => {
    const [was, is] = [{ images: [{ id: 'sha256:tape' }] }, { images: [] }];
    expect(await reached({ method: 'ListImages', was, is, waitMs: 60_000 })).toMatchObject({
      isPassed: false,
    });
  });

  describe('asks for the stats of a container', () => {
    const stats = { stats: { attributes: { id: 'tape-main' } } };
    const scene = { method: 'ContainerStats', was: stats, is: stats, waitMs: 60_000 };
    const onContainerd = { ...scene, tape: DOCKER, live: CONTAINERD };
    afterEach(() => jest.useRealTimers());

    it('until containerd has them, which takes a moment after a start', async () => {
      const codes = ['UNKNOWN', 'UNKNOWN', 'OK'];
      expect(await reached({ ...onContainerd, codes })).toMatchObject({ asked: 3, driven: { status: 'OK' } });
    });

    it('for three seconds if containerd does not have them', async () => {
      jest.useFakeTimers();
      const began = performance.now();
      const done = reached({ ...onContainerd, codes: ['UNKNOWN'] }).then(
        (is) => is && { ...is, tookMs: performance.now() - began },
      );
      await jest.advanceTimersByTimeAsync(60_000);
      const { driven, tookMs = 0 } = (await done) ?? {};
      expect(driven).toMatchObject({ status: 'UNKNOWN' });
      expect(tookMs).toBeGreaterThanOrEqual(3_000);
      expect(tookMs).toBeLessThan(4_000);
    });

    it('once if only containerd on the tape did not have them', async () => {
      expect(await reached({ ...scene, code: 'UNKNOWN' })).toMatchObject({ asked: 1 });
    });
  });

  it.each([
    ['repeatedly', 'runs', { main: 'CONTAINER_RUNNING' }],
    ['once', 'has ended', { main: 'CONTAINER_EXITED' }],
  ])('asks %s for stats that the list lacks if the container %s', async (times, _, states) => {
    const was = { stats: [{ attributes: { id: 'tape-main' } }] };
    const { asked = 0 } =
      (await reached({ method: 'ListContainerStats', was, is: { stats: [] }, states, waitMs: 50 })) ?? {};
    expect(asked > 1 ? 'repeatedly' : 'once').toBe(times);
  });

  it('asks repeatedly for a container that disappears from a list, because a rule for @item is about others', async () => {
    const rules = '{ rules: [{ path: ListContainers.containers.@item, as: ignore, because: x }] }';
    const was = list('tape', { main: 'CONTAINER_RUNNING' });
    const scene = { method: 'ListContainers', was, is: {}, rules, waitMs: 50 };
    expect(await reached(scene)).toMatchObject({ asked: 1 });
    const { asked = 0 } = (await reached({ ...scene, states: { main: 'CONTAINER_RUNNING' } })) ?? {};
    expect(asked).toBeGreaterThan(1);
  });

  it('asks once for what containerd never implements', async () => {
    const scene = { method: 'ListPodSandboxMetrics', was: {}, is: {}, tape: DOCKER, live: CONTAINERD };
    expect(await reached({ ...scene, codes: ['UNIMPLEMENTED'], waitMs: 60_000 })).toMatchObject({ asked: 1 });
  });
});
