import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon } from './support/daemon';
import { engineGet, startPrivateEngine, type PrivateEngine } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, FOREVER, logOf, podConfig, startedContainer } from './support/pods';

let engine: PrivateEngine;
let directory: string;
const tests: TestDaemon[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-reload-'));
  engine = await startPrivateEngine('reload');
  await writeFile(join(directory, 'runtime'), '#!/bin/sh\nexec runc "$@"\n');
  await chmod(join(directory, 'runtime'), 0o755);
}, 180_000);
afterEach(async () => {
  for (const test of tests.splice(0)) await test.stop();
});
afterAll(async () => {
  await engine.destroy();
  await rm(directory, { recursive: true });
}, 180_000);

async function start(options: Parameters<typeof TestDaemon.start>[0] = {}): Promise<TestDaemon> {
  const test = await TestDaemon.start({ dockerHost: engine.dockerHost, ...options });
  tests.push(test);
  await test.synced();
  return test;
}

const handlers = async ({ client }: TestDaemon): Promise<string[]> =>
  (await client.call('Status', {})).runtime_handlers.map(({ name }) => name);

const runWith = async (test: TestDaemon, runtime_handler: string): Promise<string> =>
  (await test.client.call('RunPodSandbox', { config: podConfig(test), runtime_handler })).pod_sandbox_id;

const add = (...names: string[]): Promise<void> =>
  engine.reload({
    runtimes: Object.fromEntries(names.map((name) => [name, { path: join(directory, 'runtime') }])),
  });

it('a runtime added to daemon.json is in Status and serves pods after a reload of dockerd, until it is removed from the file', async () => {
  const test = await start();
  await expectFailure(runWith(test, 'late'), 'INVALID_ARGUMENT', /^runtime_handler: "late" is not among/);
  expect(await handlers(test)).not.toContain('late');
  await add('late');
  while (!(await handlers(test)).includes('late'));
  const pod = await runWith(test, 'late');
  const { text } = await logOf(test, pod, containerConfig('says', 'echo runs'));
  expect(text).toBe('runs\n');
  await add();
  while ((await handlers(test)).includes('late'));
  await expectFailure(runWith(test, 'late'), 'INVALID_ARGUMENT', /^runtime_handler: "late" is not among/);
});

it('a pod keeps its runtime, even for new containers, when the default runtime in daemon.json changes', async () => {
  const test = await start();
  const runtimeOf = async (id: string): Promise<string> => {
    const inspect = await engineGet(engine.dockerHost, `/containers/${id}/json`);
    return (inspect as { HostConfig: { Runtime: string } }).HostConfig.Runtime;
  };
  const defaultRuntime = async (): Promise<string> =>
    ((await engineGet(engine.dockerHost, '/info')) as { DefaultRuntime: string }).DefaultRuntime;
  const before = await defaultRuntime();
  const pod = await runWith(test, '');
  const runtimes = { other: { path: join(directory, 'runtime') } };
  await engine.reload({ runtimes, 'default-runtime': 'other' });
  while ((await defaultRuntime()) !== 'other');
  try {
    const id = await startedContainer(test, pod, containerConfig('later', FOREVER));
    expect([await runtimeOf(pod), await runtimeOf(id)]).toEqual([before, before]);
    expect(await runtimeOf(await runWith(test, ''))).toBe('other');
  } finally {
    await engine.reload({ runtimes, 'default-runtime': before });
    while ((await defaultRuntime()) !== before);
  }
});

it("a pod runs with a new runtime even if the event about the Engine's reload was lost", async () => {
  const test = await start({
    // dockbridge receives no events of the type `daemon`, with which the Engine reports its own reload.
    wrapDocker: (client) =>
      new Proxy(client, {
        get: (target, name): unknown => {
          if (name === 'events')
            return (filters: object, options: object) =>
              target.events({ ...filters, type: ['container', 'image'] }, options);
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }),
  });
  await add('silent');
  const known = async (): Promise<object> =>
    ((await engineGet(engine.dockerHost, '/info')) as { Runtimes: object }).Runtimes;
  while (!('silent' in (await known())));
  expect(await handlers(test)).not.toContain('silent');
  await runWith(test, 'silent');
  expect(await handlers(test)).toContain('silent');
});
