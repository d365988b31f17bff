import { appendFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { verify, type VerifyCommand } from '../../../src/cli/migrate/verify';
import type { VerifyReport } from '../../../src/migrate/verify/report';
import type { JsonObject } from '../../../src/proto/fields';
import { FakeCri, Refusal } from '../harness/support/fake-cri';

/** What a side answers differently from the other one. */
interface Answers {
  conditions: Readonly<Record<string, boolean>>;
  driver: string;
  /** The user of all processes. */
  uid: number;
  /** The images of pods that are there before. */
  used: readonly string[];
}

let scratch: string;
let sides: FakeCri[];
let output: { stdout: string; stderr: string };
let before: ReadonlyMap<string | symbol, readonly unknown[]>;

beforeEach(async () => {
  before = new Map(process.eventNames().map((name) => [name, process.listeners(name as 'SIGHUP')]));
  scratch = await mkdtemp(join(tmpdir(), 'migrate-verify-'));
  sides = [];
  output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    jest.spyOn(process[stream], 'write').mockImplementation((chunk: unknown, ...rest: unknown[]) => {
      output[stream] += String(chunk);
      for (const done of rest) if (typeof done === 'function') (done as () => void)();
      return true;
    });
});
afterEach(async () => {
  jest.restoreAllMocks();
  for (const name of process.eventNames())
    for (const listener of process.listeners(name as 'SIGHUP'))
      if (before.get(name)?.includes(listener) !== true) process.removeListener(name, listener);
  for (const side of sides) await side.stop();
  await rm(scratch, { recursive: true });
});

/** A runtime whose containers write logs and can be examined. */
async function runtime(name: string, version: string, more: Partial<Answers> = {}): Promise<FakeCri> {
  const { conditions, driver, uid, used } = {
    ...{ conditions: { RuntimeReady: true, NetworkReady: true }, driver: 'SYSTEMD', uid: 0, used: [] },
    ...more,
  };
  const fake = await FakeCri.start(name, version);
  sides.push(fake);
  const log = async (id: string, line: string): Promise<void> => {
    const container = fake.containers.get(id);
    const directory = fake.pods.get(container?.pod ?? '')?.config.log_directory as string;
    const path = join(directory, container?.config.log_path as string);
    await mkdir(dirname(path), { recursive: true });
    await appendFile(path, `2026-12-01T00:00:00Z stdout F ${line}\n`);
  };
  fake.onCall = async ({ method, request }) => {
    if (method === 'StartContainer') await log(request.container_id as string, 'effects: ready');
    if (method === 'StopContainer') await log(request.container_id as string, 'effects: ended by TERM');
  };
  Object.assign(fake, {
    Status: (): JsonObject => ({
      status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) },
    }),
    RuntimeConfig: (): JsonObject => ({ linux: { cgroup_driver: driver } }),
    ImageFsInfo: (): JsonObject => ({ image_filesystems: [] }),
    ListContainers: (): JsonObject => ({
      containers: used.map((image, at) => ({
        ...{ id: `c${at}`, pod_sandbox_id: 'p', state: 'CONTAINER_RUNNING' },
        ...{ metadata: { name: 'web' }, image: { image } },
      })),
    }),
    ExecSync: ({ cmd }: JsonObject): JsonObject => {
      const boundary = (cmd as string[])[4] ?? '';
      const status = `Uid:\t${uid}\t${uid}\t${uid}\t${uid}\nGid:\t0\t0\t0\t0\nGroups:\t0\n`;
      const sections = ['main\n/proc/1', `main.status\n${status}`, 'namespace.net\nnet:[1]', 'end\n'];
      const text = sections.map((section) => `\n${boundary} ${section}`).join('');
      return { stdout: Buffer.from(text).toString('base64') };
    },
  });
  for (const image of used) fake.images.set(image, `sha256:${'c'.repeat(64)}`);
  return fake;
}

const run = (a: string, b: string, more: Partial<VerifyCommand> = {}): Promise<number> =>
  verify({ a, b, output: 'json', busybox: 'busybox:1', scratch, ...more });

const told = (): VerifyReport => JSON.parse(output.stdout) as VerifyReport;

async function expectNothingLeft(): Promise<void> {
  expect(sides.flatMap(({ left }) => left)).toEqual([]);
  expect(await readdir(scratch)).toEqual([]);
}

describe('dockbridge migrate verify', () => {
  it('exits with 0 for two equal runtimes, and removes everything', async () => {
    const [a, b] = [await runtime('docker', '28.5.2'), await runtime('containerd', '2.1.9')];
    expect(await run(a.endpoint, b.endpoint)).toBe(0);
    expect(told()).toMatchObject({
      ...{ v: 1, findings: [], exitCode: 0, containers: 26 },
      a: { endpoint: a.endpoint, runtime: 'docker', version: '28.5.2' },
      b: { endpoint: b.endpoint, runtime: 'containerd', version: '2.1.9' },
    });
    expect(told().summary.equal).toBeGreaterThan(100);
    await expectNothingLeft();
  });

  it('exits with 2 for differences, static and in containers, with the worst first', async () => {
    const a = await runtime('docker', '28.5.2', { used: ['shop/web:1'] });
    const b = await runtime('containerd', '2.1.9', { driver: 'CGROUPFS', uid: 7 });
    expect(await run(a.endpoint, b.endpoint)).toBe(2);
    expect(told().findings.map(({ severity, id }) => `${severity} ${id}`)).toEqual([
      'block verify-cgroup-driver',
      'change verify-image',
      'change verify-identity',
    ]);
    await expectNothingLeft();
  });

  it('reports a runtime that is not ready instead of creating pods', async () => {
    const a = await runtime('docker', '28.5.2');
    const b = await runtime('containerd', '2.1.9', {
      conditions: { RuntimeReady: true, NetworkReady: false },
    });
    expect(await run(a.endpoint, b.endpoint, { output: 'text' })).toBe(2);
    expect(output.stdout).toContain('BLOCK  verify-ready: ');
    expect([...a.methods(), ...b.methods()]).not.toContain('RunPodSandbox');
  });

  it('exits with 1 and names the runtime when one does not answer', async () => {
    const a = await runtime('docker', '28.5.2');
    const missing = `unix://${scratch}/none.sock`;
    expect(await run(a.endpoint, missing)).toBe(1);
    expect(output.stderr).toMatch(new RegExp(`^dockbridge migrate verify: ${missing}: .*UNAVAILABLE`));
    expect(output.stdout).toBe('');
  });

  it.each([
    ['tcp://node:1', 'unix:///run/b.sock', '--a: "tcp://node:1" is not unix:///path/to/a.sock'],
    ['unix:///run/a.sock', 'b.json', '--b: "b.json" is not unix:///path/to/a.sock'],
    ['unix:///run/a.sock', 'unix:///var/run/a.sock', '--b: is the same socket as --a'],
  ])('refuses %s and %s', async (a, b, message) => {
    expect(await run(a, b)).toBe(1);
    expect(output.stderr).toContain(message);
  });

  it('removes its pods and exits with 1 when B stops answering in the middle', async () => {
    const [a, b] = [await runtime('docker', '28.5.2'), await runtime('containerd', '2.1.9')];
    Object.assign(b, {
      ExecSync: () => {
        throw new Refusal(grpc.status.UNAVAILABLE, 'gone');
      },
    });
    expect(await run(a.endpoint, b.endpoint)).toBe(1);
    expect(output.stderr).toContain(`${b.endpoint}: `);
    await expectNothingLeft();
  });

  it('exits with 1 when a pod cannot be removed, and says which', async () => {
    const [a, b] = [await runtime('docker', '28.5.2'), await runtime('containerd', '2.1.9')];
    Object.assign(b, {
      RemovePodSandbox: () => {
        throw new Refusal(grpc.status.INTERNAL, 'device busy');
      },
    });
    expect(await run(a.endpoint, b.endpoint)).toBe(1);
    expect(output.stderr).toMatch(/left behind on unix:.*: pod effects-plain .*device busy/);
    expect(told().exitCode).toBe(0);
  });

  it('removes its pods on SIGINT', async () => {
    const [a, b] = [await runtime('docker', '28.5.2'), await runtime('containerd', '2.1.9')];
    const { onCall } = a;
    a.onCall = async (call) => {
      await onCall(call);
      if (call.method === 'ExecSync') process.emit('SIGINT', 'SIGINT');
    };
    expect(await run(a.endpoint, b.endpoint)).toBe(1);
    expect(output.stderr).toContain('ended by SIGINT');
    expect(b.methods()).not.toContain('RunPodSandbox');
    await expectNothingLeft();
  });
});
