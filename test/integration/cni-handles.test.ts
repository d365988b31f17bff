import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { cri } from '../../src/proto';
import { MountPropagation, PodSandboxState } from '../../src/proto/enums';
import {
  NAMESPACE_DIRECTORY,
  NamespaceHandles,
  shareDirectory,
} from '../../src/node/netns/namespace-handles';
import { parseMountinfo } from '../../src/node/mountinfo';
import { CniNode } from './support/cni-node';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost } from './support/engine';
import { untilSynced } from './support/engine-link';
import {
  freshConfig,
  FOREVER,
  output,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
} from './support/pods';

const run = promisify(execFile);

// The limit for real plugins and pods on a busy machine.
jest.setTimeout(180_000);

describe('the directory of network namespaces', () => {
  let place: string;
  const directory = (): string => join(place, 'netns');

  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'dockbridge-netns-'));
    await run('mount', ['-t', 'tmpfs', 'tmpfs', place]);
  });
  afterEach(async () => {
    await run('umount', ['--lazy', place]);
    await rm(place, { recursive: true });
  });

  async function mountsHere(): Promise<{ mountPoint: string; isShared: boolean }[]> {
    const all = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
    return all
      .filter(({ mountPoint }) => mountPoint.startsWith(place))
      .map(({ mountPoint, isShared }) => ({ mountPoint, isShared }));
  }

  it('becomes a shared mount on a private one, and only once, even for simultaneous callers', async () => {
    await run('mount', ['--make-private', place]);
    await Promise.all([shareDirectory(directory()), shareDirectory(directory())]);
    await shareDirectory(directory());
    expect(await mountsHere()).toEqual([
      { mountPoint: place, isShared: false },
      { mountPoint: directory(), isShared: true },
    ]);
    expect((await stat(directory())).mode & 0o777).toBe(0o755);
  });

  it('keeps the mounts in it when it becomes a mount', async () => {
    await run('mount', ['--make-private', place]);
    await mkdir(directory());
    await writeFile(join(directory(), 'other'), '');
    await run('mount', ['--bind', '/proc/self/ns/net', join(directory(), 'other')]);
    const { ino } = await stat('/proc/self/ns/net');
    await shareDirectory(directory());
    expect((await stat(join(directory(), 'other'))).ino).toBe(ino);
  });

  it('is left alone on a shared mount', async () => {
    await run('mount', ['--make-shared', place]);
    await shareDirectory(directory());
    expect(await mountsHere()).toEqual([{ mountPoint: place, isShared: true }]);
  });
});

describe('the namespace of a pod', () => {
  let node: CniNode;
  let test: TestDaemon;

  beforeEach(async () => {
    node = await CniNode.create();
    const told = join(node.directory, 'told');
    const { plugins, ...list } = node.network(['10.92.0.0/24']) as { plugins: object[] };
    await node.configure({ ...list, plugins: [plugins[0], { type: 'tell' }] });
    // `tell` is a chained plugin and passes on the previous result.
    await node.plugin(
      'tell',
      `echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS" >>${told}\n` +
        `[ "$CNI_COMMAND" = ADD ] || exit 0\nexec ${process.execPath} -e '${PASS_ON}'`,
    );
    test = await TestDaemon.start({ given: node.options });
    await untilSynced(test);
  });
  afterEach(async () => {
    try {
      await test.stop();
      expect(await node.traces()).toEqual([]);
    } finally {
      await node.destroy();
    }
  });

  /** Returns the `CNI_NETNS` of each call with this command for this pod. */
  async function toldOn(command: string, pod: string): Promise<string[]> {
    const lines = (await readFile(join(node.directory, 'told'), 'utf8')).split('\n');
    return lines
      .filter((line) => line.startsWith(`${command} ${pod} `))
      .map((line) => line.split(' ')[2] ?? '');
  }

  const ipOf = async (pod: string): Promise<string> => (await sandboxStatus(test, pod)).network?.ip ?? '';

  it('can be entered, from its ADD to its DEL, by an agent in a pod that mounts /run/netns', async () => {
    const privileged = { linux: { security_context: { privileged: true } } };
    const mounts: cri.IMount[] = [
      {
        host_path: NAMESPACE_DIRECTORY,
        container_path: NAMESPACE_DIRECTORY,
        propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
      },
    ];
    const agentPod = await runPod(test, podConfig(test, privileged));
    const agent = await startedContainer(test, agentPod, freshConfig(FOREVER, { ...privileged, mounts }));
    const pod = await runPod(test);
    const [netns = ''] = await toldOn('ADD', pod);
    expect(netns).toMatch(new RegExp(`^/run/netns/cni-dockbridge-[0-9a-f]{8}-${pod}$`));
    const seen = await output(test, agent, `nsenter --net=${netns} ip -4 -o address show eth0`);
    expect(seen).toContain(`inet ${await ipOf(pod)}/24`);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await toldOn('DEL', pod)).toEqual([netns]);
    // Neither the file nor the mount is left.
    expect(await output(test, agent, `ls /run/netns | grep ${pod} || echo none`)).toBe('none');
    expect(await output(test, agent, `grep ${pod} /proc/self/mountinfo || echo none`)).toBe('none');
  });

  it('stays at the path that an earlier version chose until its DEL', async () => {
    const pod = await runPod(test);
    const ip = await ipOf(pod);
    const former = join(node.runDir, 'netns', pod);
    await test.restart(async () => {
      await mkdir(dirname(former), { recursive: true });
      await writeFile(former, '');
      await run('mount', ['--bind', node.handles.pathOf(pod), former]);
      await run('umount', [node.handles.pathOf(pod)]);
      await rm(node.handles.pathOf(pod));
      const [entry = ''] = (await readdir(join(node.cacheDir, 'results'))).filter((name) =>
        name.includes(pod),
      );
      const path = join(node.cacheDir, 'results', entry);
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(node.handles.pathOf(pod), former));
    });
    await untilSynced(test);
    const { state, network } = await sandboxStatus(test, pod);
    expect([state, network?.ip]).toEqual([PodSandboxState.SANDBOX_READY, ip]);
    await expect(stat(node.handles.pathOf(pod))).rejects.toThrow('ENOENT');
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await toldOn('DEL', pod)).toEqual([former]);
    await expect(stat(former)).rejects.toThrow('ENOENT');
    expect(await node.leases()).toEqual([]);
  });

  it('is freed if its pod vanished while no daemon ran, unless it belongs to another daemon', async () => {
    const [gone, kept] = [await runPod(test), await runPod(test)];
    // Stands for a daemon with another run directory and another Engine, which holds a handle of `kept`.
    const other = NamespaceHandles.of(join(node.directory, 'other-run'));
    const { State } = (await engineCall(sharedDockerHost(), 'GET', `/containers/${kept}/json`)) as {
      State: { Pid: number };
    };
    const others = await other.hold(kept, State.Pid);
    try {
      await test.restart(async () => {
        for (const id of [gone, kept])
          await engineCall(sharedDockerHost(), 'DELETE', `/containers/${id}?force=1`);
      });
      while ((await node.handles.list()).length > 0) await delay(50);
      expect(await other.heldPath(kept)).toBe(others);
    } finally {
      await other.release(kept);
    }
    await untilSynced(test);
  });
});

/** A chained plugin that answers with the result of the plugin before it. */
const PASS_ON = `
  let text = "";
  process.stdin.on("data", (chunk) => (text += chunk));
  process.stdin.on("end", () => {
    const { prevResult, cniVersion } = JSON.parse(text);
    console.log(JSON.stringify({ ...prevResult, cniVersion }));
  });`;
