import { rulesFor } from '../../../src/harness/compare/rules';
import { Awaiting, type Reached } from '../../../src/harness/drive/awaiting';
import { Bindings } from '../../../src/harness/drive/bindings';
import { Explained } from '../../../src/harness/drive/explained';
import type { Made } from '../../../src/harness/drive/replay-plan';
import type { JsonObject } from '../../../src/proto/fields';

const DOCKER = { name: 'docker', version: '28.5' };
const CONTAINERD = { name: 'containerd', version: '2.1.9' };

interface Scene {
  readonly method?: string;
  readonly was: JsonObject;
  readonly is: JsonObject;
  readonly endsAlone?: readonly string[];
  readonly waitMs?: number;
  readonly sinceMs?: number;
}

/** Replays one poll of a tape of containerd. Its ids begin with `tape-`, and those of the endpoint with `live-`. */
async function reached(scene: Scene): Promise<Reached | undefined> {
  const { method = 'ContainerStatus', was, is, endsAlone = [], waitMs = 0, sinceMs = 0 } = scene;
  const bindings = new Bindings();
  const made = new Map<string, Made>();
  for (const name of ['main', 'job']) {
    bindings.bind(`tape-${name}`, `live-${name}`);
    made.set(`tape-${name}`, { what: 'container', identity: `test/web/0/${name}/0` });
  }
  bindings.bind('sha256:tape', 'sha256:live');
  const explained = new Explained(rulesFor(CONTAINERD, DOCKER), CONTAINERD, DOCKER, (id) => id);
  const awaiting = new Awaiting({
    bindings,
    plan: { made, endsAlone: new Set(endsAlone) },
    explained,
    waitMs,
  });
  const call = { ...{ n: 1, t: 9_000, end: 9_000, ms: 1, request: {}, status: 'OK' }, faults: [] };
  const driven = { ms: 1, status: 'OK', response: is };
  return awaiting.reach({ ...call, method, response: was }, sinceMs, new AbortController().signal, async () =>
    Promise.resolve(driven),
  );
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
});
