import { runScenario } from '../../../src/harness/drive/run-scenario';
import { readScenario } from '../../../src/harness/drive/scenario';
import { SMOKE } from '../../../src/harness/drive/smoke';
import { asText } from '../../../src/harness/json';
import { FakeCri } from './support/fake-cri';

const POD =
  'pods: [{ metadata: { name: web }, containers: [{ metadata: { name: main }, image: { image: "busybox:1" } }] }]';

it('the built-in scenario is valid, and has steps of nine kinds', () => {
  const { pods, steps } = readScenario(SMOKE);
  expect(pods.map(({ name, containers }) => [name, [...containers.keys()]])).toEqual([
    ['smoke', ['server', 'job']],
  ]);
  expect(new Set(steps.map(({ kind }) => kind))).toEqual(
    new Set(['run', 'create', 'start', 'exec', 'status', 'stats', 'stop', 'remove', 'list']),
  );
});

it.each([
  ['a: [', 'the scenario: is not YAML'],
  ['[]', 'the scenario: is not a map with pods, steps'],
  ['{ pods: [], steps: [] }', 'pods: is not a non-empty list'],
  ['{ pod: [], steps: [] }', 'pod: is unknown here: is pods meant?'],
  ['{ pods: [{}], steps: [] }', 'pods[0].metadata.name: is missing'],
  [
    '{ pods: [{ metadata: { nam: a } }], steps: [] }',
    'pods[0].metadata.nam: PodSandboxMetadata has no such field',
  ],
  [
    'pods: [{ metadata: { name: a }, containers: [{ metadata: { name: c } }] }]\nsteps: []',
    'pods[0].containers[0].image.image: is missing',
  ],
  [
    'pods: [{ metadata: { name: a } }, { metadata: { name: a } }]\nsteps: []',
    'pods[1].metadata.name: "a" is already the name of an earlier pod',
  ],
  [
    'pods: [{ metadata: { name: a, "@unknown": ["CgFi"] } }]\nsteps: []',
    'pods[0]: has @unknown: a scenario can contain only fields that this version knows',
  ],
  [POD, 'steps: is not a non-empty list'],
  [`${POD}\nsteps: [{}]`, 'steps[0]: has no step: give exactly one of run'],
  [`${POD}\nsteps: [{ run: web, start: web/main }]`, 'steps[0]: has run and start'],
  [`${POD}\nsteps: [{ rn: web }]`, 'steps[0].rn: is unknown here: is run meant?'],
  [`${POD}\nsteps: [{ run: web, timeout: 3 }]`, 'steps[0].timeout: is unknown here: the known keys are run'],
  [`${POD}\nsteps: [{ run: web/main }]`, 'steps[0].run: "web/main" is a container, but run needs a pod'],
  [
    `${POD}\nsteps: [{ run: web }, { start: web }]`,
    'steps[1].start: "web" is a pod, but start needs a container',
  ],
  [`${POD}\nsteps: [{ start: web/man }]`, 'steps[0].start: "web/man" is not one of web, web/main'],
  [`${POD}\nsteps: [{ exec: web/main }]`, 'steps[0].cmd: is not a non-empty list'],
  [`${POD}\nsteps: [{ exec: web/main, cmd: [a, 1] }]`, 'steps[0].cmd[1]: 1 is not text'],
  [
    `${POD}\nsteps: [{ exec: web/main, cmd: [a], expect: { code: 1 } }]`,
    'steps[0].expect.code: is unknown here',
  ],
  [
    `${POD}\nsteps: [{ status: web, until: CONTAINER_EXITED }]`,
    'steps[0].until: "CONTAINER_EXITED" is not one of SANDBOX_READY',
  ],
  [`${POD}\nsteps: [{ status: web, within: 5 }]`, 'steps[0].within: 5 is not text'],
  [`${POD}\nsteps: [{ stop: web, timeout: -1 }]`, 'steps[0].timeout: -1 is not a number of seconds'],
  [`${POD}\nsteps: [{ list: pod }]`, 'steps[0].list: "pod" is not one of pods, containers'],
])('the invalid scenario %s is refused, with the key in the error', (text, why) => {
  expect(() => readScenario(text)).toThrow(why);
});

describe('a scenario on a runtime', () => {
  let fake: FakeCri;
  const signal = new AbortController().signal;
  beforeEach(async () => (fake = await FakeCri.start()));
  afterEach(() => fake.stop());

  const STEPS = `${POD}
steps:
  - run: web
  - create: web/main
  - start: web/main
  - exec: web/main
    cmd: [say, this]
    expect: { stdout: "say this\\n" }
  - status: web/main
    until: CONTAINER_EXITED
    within: 10s
  - list: containers
  - remove: web`;

  it('carries out and observes its steps, and waits for states', async () => {
    let asked = 0;
    fake.pods.set('theirs', {
      id: 'theirs',
      config: { metadata: { name: 'theirs' } },
      state: 'SANDBOX_READY',
    });
    fake.containers.set('other', {
      id: 'other',
      pod: 'theirs',
      config: {},
      state: 'CONTAINER_RUNNING',
      exitCode: 0,
    });
    fake.onCall = ({ method, request }) => {
      if (method === 'ContainerStatus' && ++asked === 3) fake.exit(asText(request.container_id), 5);
    };
    const { observation, unmet, left } = await runScenario(fake.endpoint, readScenario(STEPS), { signal });
    expect({ unmet, left }).toEqual({ unmet: [], left: [] });
    expect(observation.runtime.name).toBe('fake');
    expect(
      observation.calls.map(({ method, pod, container, status }) => [method, pod, container, status]),
    ).toEqual([
      ['RunPodSandbox', 'scenario/web', undefined, 'OK'],
      ['CreateContainer', 'scenario/web', 'main', 'OK'],
      ['StartContainer', 'scenario/web', 'main', 'OK'],
      ['ExecSync', 'scenario/web', 'main', 'OK'],
      ['ContainerStatus', 'scenario/web', 'main', 'OK'],
      ['ListContainers', undefined, undefined, 'OK'],
      ['RemovePodSandbox', 'scenario/web', undefined, 'OK'],
    ]);
    expect(observation.calls[4]?.response).toMatchObject({
      status: {
        state: 'CONTAINER_EXITED',
        exit_code: 5,
        log_path: '/var/log/pods/scenario_web_scenario-web/main/0.log',
      },
    });
    expect(observation.calls[5]?.response?.containers).toHaveLength(1);
    expect(fake.left).toEqual(['theirs', 'other']);
  });

  it('reports what differs from the expectation, and removes what it made', async () => {
    fake.spoil = ({ method }, answer) => (method === 'ExecSync' ? { exit_code: 1 } : answer);
    const text = STEPS.replace('within: 10s', 'within: 50ms').replace('- remove: web', '- stats: web');
    const { unmet, left } = await runScenario(fake.endpoint, readScenario(text), { signal });
    expect(unmet).toEqual([
      'steps[3]: exec web/main: it ended with exit code 1, expected 0',
      'steps[3]: exec web/main: stdout is "", expected "say this\\n"',
      'steps[4]: status web/main: it is CONTAINER_RUNNING after 50 ms, expected CONTAINER_EXITED',
    ]);
    expect([left, fake.left]).toEqual([[], []]);
  });

  it('pulls a missing image under the name that was given for it, and removes it', async () => {
    const images = new Map([['busybox:1', 'mirror/busybox:9']]);
    const { unmet } = await runScenario(
      fake.endpoint,
      readScenario(STEPS.replace('CONTAINER_EXITED', 'CONTAINER_RUNNING')),
      { images, signal },
    );
    expect(unmet).toEqual([]);
    expect(fake.calls.find(({ method }) => method === 'PullImage')?.request).toEqual({
      image: { image: 'mirror/busybox:9' },
    });
    expect([...fake.images.keys()]).toEqual(['busybox:1']);
  });

  it('reports an endpoint that goes away', async () => {
    fake.onCall = ({ method }) => {
      if (method === 'StartContainer') fake.die();
      if (method === 'StartContainer') setTimeout(() => void fake.listen(), 2_000);
    };
    await expect(runScenario(fake.endpoint, readScenario(STEPS), { signal })).rejects.toThrow(
      /stopped answering during/,
    );
    expect(fake.left).toEqual([]);
  });
});
