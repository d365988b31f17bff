import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { cri } from '../../src/proto';
import { ContainerState, NamespaceMode, SecurityProfileType } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineGet, startPrivateEngine, type PrivateEngine } from './support/engine';
import { LogWatch } from './support/log-watch';
import { nodeResolvConf } from './support/node-resolv-conf';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  podConfig,
  readLogText,
  runPod,
  sandboxStatus,
  startedContainer,
  untilExited,
  untilLogged,
} from './support/pods';

const HOST_PORT = 23_480;

let engine: PrivateEngine;
let test: TestDaemon;
let pod: string;

beforeAll(async () => {
  engine = await startPrivateEngine('hostile', { hostile: true });
  test = await TestDaemon.start({ dockerHost: engine.dockerHost });
  pod = await runPod(
    test,
    podConfig(test, { port_mappings: [{ container_port: 80, host_port: HOST_PORT }] }),
  );
}, 120_000);

afterAll(async () => {
  try {
    await test.stop();
  } finally {
    await engine.destroy();
  }
}, 120_000);

async function output(script: string, more = {}, inPod = pod): Promise<string> {
  const id = await startedContainer(
    test,
    inPod,
    containerConfig(`c${Date.now()}`, script, {
      labels: { app: 'hostile' },
      envs: [{ key: 'COLOUR', value: Buffer.from('red') }],
      ...more,
    }),
  );
  await untilExited(test, id);
  return readLogText((await containerStatus(test, id)).log_path);
}

interface HostConfig {
  readonly IpcMode: string;
  readonly CgroupnsMode: string;
  readonly CgroupParent: string;
  readonly SecurityOpt: readonly string[];
}

async function hostConfig(id: string): Promise<HostConfig> {
  const inspect = await engineGet(engine.dockerHost, `/containers/${id}/json`);
  return (inspect as { HostConfig: HostConfig }).HostConfig;
}

describe('an Engine whose configuration contradicts CRI', () => {
  it('still runs pods and containers, and keeps every line of their logs', async () => {
    const lines = Array.from({ length: 3_000 }, (_, at) => `line ${at}`);
    const text = await output('i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done');
    expect(text.split('\n').slice(0, -1)).toEqual(lines);
  });

  it('writes only the output into a container’s spool, which would otherwise fill up sooner', async () => {
    const id = await startedContainer(
      test,
      pod,
      containerConfig('plain', 'echo a', { labels: { app: 'hostile' }, envs: [{ key: 'COLOUR' }] }),
    );
    await untilExited(test, id);
    const { LogPath } = (await engineGet(engine.dockerHost, `/containers/${id}/json`)) as { LogPath: string };
    const records = (await readFile(LogPath, 'utf8')).trimEnd().split('\n');
    expect(records.map((record) => Object.keys(JSON.parse(record) as object))).toEqual([
      ['log', 'stream', 'time'],
    ]);
  });

  it('runs the container’s own process as PID 1, and adds no init process to the pause container', async () => {
    const own = { linux: { security_context: { namespace_options: { pid: NamespaceMode.CONTAINER } } } };
    // The shell stays, because it runs another command after tr.
    expect(await output("tr '\\0' ' ' </proc/1/cmdline; true", own)).toMatch(/^\/bin\/sh -c/);
    const { HostConfig } = (await engineGet(engine.dockerHost, `/containers/${pod}/json`)) as {
      HostConfig: { Init: boolean };
    };
    expect(HostConfig.Init).toBe(false);
  });

  it.each([
    { wanted: false, seen: '0' },
    { wanted: true, seen: '1' },
  ])('sets no_new_privs to the requested $wanted', async ({ wanted, seen }) => {
    const linux = { security_context: { no_new_privs: wanted } };
    expect(await output('grep NoNewPrivs /proc/self/status', { linux })).toBe(`NoNewPrivs:\t${seen}\n`);
  });

  it('does not restrict a privileged container with its no-new-privileges', async () => {
    const privileged = await runPod(
      test,
      podConfig(test, { linux: { security_context: { privileged: true } } }),
    );
    const linux = { security_context: { privileged: true } };
    expect(await output('grep NoNewPrivs /proc/self/status', { linux }, privileged)).toBe('NoNewPrivs:\t0\n');
  });

  it('gives /dev/shm the size that Kubernetes’ pods have', async () => {
    expect(await output("df -k /dev/shm | awk 'NR==2 {print $2}'")).toBe('65536\n');
  });

  it('binds a host port to every address', async () => {
    const { NetworkSettings } = (await engineGet(engine.dockerHost, `/containers/${pod}/json`)) as {
      NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[]> };
    };
    const bound = NetworkSettings.Ports['80/tcp'] ?? [];
    expect(bound).toContainEqual({ HostIp: '0.0.0.0', HostPort: String(HOST_PORT) });
    expect(bound.map(({ HostIp }) => HostIp)).not.toContain('127.0.0.1');
  });

  it('decides neither servers nor search domains of a pod, whether the request has some, none or empty ones', async () => {
    const nodes = await nodeResolvConf();
    const servers = (text: string): string[] => text.match(/^nameserver .*$/gm) ?? [];
    const resolvConf = async (more: cri.IPodSandboxConfig): Promise<string> =>
      output('cat /etc/resolv.conf', {}, await runPod(test, podConfig(test, more)));
    const dns_config = { servers: ['10.96.0.10'], searches: ['a.local'], options: ['ndots:5'] };
    const given = await resolvConf({ dns_config });
    expect(given).toContain('nameserver 10.96.0.10\n');
    expect(given).not.toMatch(/192\.0\.2\.53|hostile|ndots:9/);
    const unsaid = await resolvConf({});
    expect(servers(unsaid)).toEqual(servers(nodes));
    expect(unsaid).not.toMatch(/192\.0\.2\.53|hostile|ndots:9/);
    expect((await resolvConf({ dns_config: {} })).trim()).toBe('');
  });

  it('decides neither the namespaces, nor the cgroup parent, nor seccomp', async () => {
    const unconfined = { profile_type: SecurityProfileType.Unconfined };
    const linux = { security_context: { seccomp: unconfined } };
    const id = await startedContainer(test, pod, containerConfig('joins', FOREVER, { linux }));
    const ofContainer = await hostConfig(id);
    expect(ofContainer).toMatchObject({
      IpcMode: `container:${pod}`,
      SecurityOpt: expect.any(Array) as unknown,
    });
    expect(ofContainer.SecurityOpt).toContain('seccomp=unconfined');
    const ofPod = await hostConfig(pod);
    expect(ofPod.IpcMode).toBe('shareable');
    const cgroup2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
    for (const { CgroupnsMode } of [ofPod, ofContainer])
      expect(CgroupnsMode).toBe(cgroup2 ? 'private' : 'host');
    const parent = '/dockbridge-test-parent';
    const placed = await runPod(test, podConfig(test, { linux: { cgroup_parent: parent } }));
    expect((await hostConfig(placed)).CgroupParent).toBe(parent);
  });

  it('changes neither the state of a container nor the address of a pod', async () => {
    const id = await startedContainer(test, pod, containerConfig('running', FOREVER));
    expect((await containerStatus(test, id)).state).toBe(ContainerState.CONTAINER_RUNNING);
    expect((await sandboxStatus(test, pod)).network?.ip).toMatch(/^\d+\./);
  });
});

// This test has an Engine of its own, because with this key Engines before 23 may lose the last write of a
// container that ends at once.
describe('an Engine whose log-opts set max-buffer-size, which no request can override', () => {
  let buffering: PrivateEngine;
  let watched: TestDaemon;
  const log = new LogWatch();
  beforeAll(async () => {
    const config = { 'log-opts': { mode: 'non-blocking', 'max-buffer-size': '4m', compress: 'true' } };
    buffering = await startPrivateEngine('buffering', { hostile: true, config });
    watched = await TestDaemon.start({ dockerHost: buffering.dockerHost, logger: log.logger });
  }, 120_000);
  afterAll(async () => {
    try {
      await watched.stop();
    } finally {
      await buffering.destroy();
    }
  }, 120_000);

  it('runs containers with a large buffer, logs that, and loses no line of a container that keeps running', async () => {
    const sandbox = await runPod(watched);
    const script = `i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; ${FOREVER}`;
    let id = '';
    const calls = await watched.countEngineCalls(async () => {
      id = await createContainer(watched, sandbox, containerConfig('writes', script));
    });
    // These are the probe of the image, the refused request and the accepted one.
    expect(calls.createContainer).toBe(3);
    expect(log.lines.filter(({ message }) => message.includes('max-buffer-size'))).toHaveLength(1);
    await watched.client.call('StartContainer', { container_id: id });
    const { log_path } = await containerStatus(watched, id);
    await untilLogged(log_path, 'line 2999\n');
    const lines = Array.from({ length: 3_000 }, (_, at) => `line ${at}`);
    expect((await readLogText(log_path)).split('\n').slice(0, -1)).toEqual(lines);
  });
});
