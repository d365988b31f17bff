import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectEffects, type Client, type CollectOptions } from '../../../../src/harness/effects/collect';
import type { ScenarioPod } from '../../../../src/harness/effects/effect-scenario';
import { ContainerState } from '../../../../src/proto/enums';
import type { cri } from '../../../../src/proto';

const UNAVAILABLE = Object.assign(new Error('14 UNAVAILABLE: gone'), { code: 14 });
const REFUSED = Object.assign(new Error('3 INVALID_ARGUMENT: no such user'), { code: 3 });
const LATE = Object.assign(new Error('4 DEADLINE_EXCEEDED: too late'), { code: 4 });
const POD_ID = 'p'.repeat(64);
const ID = 'c'.repeat(64);

type Answer = (request: never) => object | Promise<object>;

/** A runtime with one pod and one container, which writes its log as a real runtime does. */
class FakeRuntime {
  readonly calls: string[] = [];
  private log = '';

  constructor(private readonly instead: Readonly<Record<string, Answer>> = {}) {}

  readonly client = {
    call: async (method: string, request: object): Promise<object> => {
      this.calls.push(method);
      const answer = this.instead[method] ?? this.answers[method];
      if (answer === undefined) throw new Error(`${method} is not expected`);
      return answer(request as never);
    },
  } as unknown as Client;

  private readonly answers: Readonly<Record<string, (request: never) => object | Promise<object>>> = {
    Version: () => ({ runtime_name: 'fake', runtime_version: '1.0' }),
    ImageStatus: () => ({ image: { id: 'sha256:1' } }),
    RunPodSandbox: () => ({ pod_sandbox_id: POD_ID }),
    ListPodSandbox: () => ({ items: [] }),
    PodSandboxStatus: () => ({
      status: { network: { ip: '10.0.0.9', additional_ips: [{ ip: 'fd00::9' }] } },
    }),
    CreateContainer: ({ sandbox_config: { log_directory }, config: { log_path } }: Creation) => {
      this.log = join(log_directory, log_path);
      return { container_id: ID };
    },
    StartContainer: async () => {
      await mkdir(join(this.log, '..'), { recursive: true });
      await this.write('effects: ready');
      return {};
    },
    ExecSync: ({ cmd }: { cmd: string[] }) => ({
      stdout: Buffer.from(
        [
          ...['main\n/proc/1', `/etc/hosts\n10.0.0.9 pod ${ID.slice(0, 12)}`, 'namespace.net\nnet:[1]'],
          ...[`main.cgroup\n1:memory:/x/${POD_ID}/${ID}`, 'end\n'],
        ]
          .map((section) => `\n${cmd[4] ?? ''} ${section}`)
          .join(''),
      ),
      stderr: Buffer.alloc(0),
      exit_code: 0,
    }),
    StopContainer: async () => {
      await this.write('effects: ended by TERM');
      return {};
    },
    ContainerStatus: () => ({
      status: { state: ContainerState.CONTAINER_EXITED, exit_code: 3, reason: 'Error' },
    }),
    StopPodSandbox: () => ({}),
    RemovePodSandbox: () => ({}),
  };

  private async write(line: string): Promise<void> {
    await writeFile(this.log, `2026-11-30T04:00:00Z stdout F ${line}\n`, { flag: 'a' });
  }
}

interface Creation {
  readonly sandbox_config: { readonly log_directory: string };
  readonly config: cri.IContainerConfig & { readonly log_path: string };
}

const POD: ScenarioPod = { name: 'one', containers: [{ name: 'only' }] };

describe('a run of the scenario', () => {
  let scratchRoot: string;
  beforeEach(async () => (scratchRoot = await mkdtemp(join(tmpdir(), 'effects-test-'))));
  afterEach(async () => {
    // Nothing of the run is left, however it ended.
    const left = await readdir(scratchRoot);
    await rm(scratchRoot, { recursive: true });
    expect(left).toEqual([]);
  });

  const collect = (runtime: FakeRuntime, more: Partial<CollectOptions> = {}) =>
    collectEffects(runtime.client, {
      ...{ source: 'unix:///x', image: 'busybox', scratchRoot, scenario: () => [POD] },
      ...more,
    });
  const REMOVAL = ['StopPodSandbox', 'RemovePodSandbox'];

  it("reads each container, stops it, removes the pod, and replaces the run's own names", async () => {
    const runtime = new FakeRuntime();
    const { containers, ...rest } = await collect(runtime);
    expect(rest).toEqual({ source: 'unix:///x', runtime: { name: 'fake', version: '1.0' } });
    expect(containers.map(({ container }) => container)).toEqual(['one/only']);
    expect(Object.fromEntries(containers[0]?.effects ?? [])).toEqual({
      starts: 'yes',
      '/etc/hosts': ['<address 1> pod <container>'],
      'cgroup path': ['/x/<pod>/<container>'],
      ...{ controllers: [], 'masked paths': [], 'read-only paths': [] },
      'namespace net': 'own',
      end: 'exit code 3, Error',
      ...{ 'log stdout 1': 'F "effects: ready"', 'log stdout 2': 'F "effects: ended by TERM"' },
      'log times': 'RFC 3339',
    });
    expect(runtime.calls).toEqual([
      ...['Version', 'ImageStatus', 'RunPodSandbox', 'PodSandboxStatus', 'CreateContainer', 'StartContainer'],
      ...['ExecSync', 'StopContainer', 'ContainerStatus', ...REMOVAL],
    ]);
  });

  it('pulls a missing image', async () => {
    const runtime = new FakeRuntime({
      ImageStatus: () => ({ image: null }),
      PullImage: () => ({ image_ref: 'sha256:2' }),
    });
    await collect(runtime);
    expect(runtime.calls.slice(1, 3)).toEqual(['ImageStatus', 'PullImage']);
  });

  it('records a refusal as an effect if another container starts', async () => {
    let creations = 0;
    const notes: string[] = [];
    const plain = new FakeRuntime();
    const runtime = new FakeRuntime({
      CreateContainer: (request) => {
        if (++creations === 1) throw REFUSED;
        return plain.client.call('CreateContainer', request);
      },
      StartContainer: () => plain.client.call('StartContainer', {}),
      StopContainer: () => plain.client.call('StopContainer', {}),
    });
    const pod = { ...POD, containers: [{ name: 'refused' }, { name: 'taken' }] };
    const { containers } = await collect(runtime, {
      scenario: () => [pod],
      onNote: (note) => notes.push(note),
    });
    expect(containers.map(({ container, effects }) => [container, effects.get('starts')])).toEqual([
      ['one/refused', 'refused: INVALID_ARGUMENT'],
      ['one/taken', 'yes'],
    ]);
    expect(notes).toEqual(['refused was refused: 3 INVALID_ARGUMENT: no such user']);
  });

  it('fails if no container starts', async () => {
    const refused = new FakeRuntime({
      RunPodSandbox: () => {
        throw REFUSED;
      },
    });
    await expect(collect(refused)).rejects.toThrow(
      'no container of the scenario started: one was refused: 3',
    );
  });

  it('ends when the runtime goes away, and removes its pod', async () => {
    const runtime = new FakeRuntime({
      CreateContainer: () => {
        throw UNAVAILABLE;
      },
    });
    await expect(collect(runtime)).rejects.toThrow('14 UNAVAILABLE: gone');
    expect(runtime.calls.slice(-2)).toEqual(REMOVAL);
  });

  it('ends when its signal fires, and removes its pod', async () => {
    const controller = new AbortController();
    const runtime = new FakeRuntime({
      PodSandboxStatus: () => {
        controller.abort(new Error('ended by SIGINT'));
        return { status: null };
      },
    });
    await expect(collect(runtime, { signal: controller.signal })).rejects.toThrow('ended by SIGINT');
    expect(runtime.calls).not.toContain('ExecSync');
    expect(runtime.calls.slice(-2)).toEqual(REMOVAL);
  });

  it('reports what it could not remove', async () => {
    const left: string[] = [];
    const runtime = new FakeRuntime({
      RemovePodSandbox: () => {
        throw REFUSED;
      },
    });
    await collect(runtime, { onLeft: (what) => left.push(what) });
    expect(left).toEqual([
      `pod effects-one (${POD_ID}) could not be removed: 3 INVALID_ARGUMENT: no such user`,
    ]);
  });

  it('removes a pod that it cannot stop', async () => {
    const left: string[] = [];
    const runtime = new FakeRuntime({
      StopPodSandbox: () => {
        throw LATE;
      },
    });
    await collect(runtime, { onLeft: (what) => left.push(what) });
    expect(runtime.calls.slice(-2)).toEqual(REMOVAL);
    expect(left).toEqual([]);
  });

  it('finds and removes a pod whose id it did not receive, and no pod of another run', async () => {
    const items: { id: string; metadata: cri.IPodSandboxMetadata }[] = [];
    const removed: string[] = [];
    const runtime = new FakeRuntime({
      RunPodSandbox: ({ config }: { config: { metadata: cri.IPodSandboxMetadata } }) => {
        items.push({ id: 'other', metadata: { ...config.metadata, uid: 'other-one' } });
        items.push({ id: 'same-uid', metadata: { ...config.metadata, namespace: 'prod' } });
        items.push({ id: 'own', metadata: config.metadata });
        throw LATE;
      },
      ListPodSandbox: () => ({ items }),
      RemovePodSandbox: ({ pod_sandbox_id }: { pod_sandbox_id: string }) => {
        removed.push(pod_sandbox_id);
        return {};
      },
    });
    await expect(collect(runtime)).rejects.toThrow('4 DEADLINE_EXCEEDED');
    expect(removed).toEqual(['own']);
  });

  it('reports that something may be left when it cannot list the pods', async () => {
    const left: string[] = [];
    const gone = () => {
      throw UNAVAILABLE;
    };
    const runtime = new FakeRuntime({ RunPodSandbox: gone, ListPodSandbox: gone });
    await expect(collect(runtime, { onLeft: (what) => left.push(what) })).rejects.toThrow('gone');
    expect(left).toEqual([
      'pods may exist for which RunPodSandbox returned no id, and they could not be listed or removed: 14 UNAVAILABLE: gone',
    ]);
  });
});
