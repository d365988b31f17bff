import { join } from 'node:path';
import { compare } from '../../src/harness/compare/compare';
import { readRules, rulesFor } from '../../src/harness/compare/rules';
import { readRecorded } from '../../src/harness/drive/recorded';
import { replay } from '../../src/harness/drive/replay';
import { runScenario } from '../../src/harness/drive/run-scenario';
import { readScenario } from '../../src/harness/drive/scenario';
import { SMOKE } from '../../src/harness/drive/smoke';
import { renderText } from '../../src/harness/report/text';
import { ContainerdNode } from './support/containerd-node';
import { TestDaemon } from './support/daemon';
import { sharedDockerHost, TEST_IMAGE } from './support/engine';
import { runPod } from './support/pods';
import { recordedCalls, walk } from './support/recorded-walk';

const PAUSE = 'dockbridge.local/pause:1';
const signal = new AbortController().signal;
/** Engines with containerd's image store invent digests for images that come from no registry. */
const IMPORTED = `
rules:
  - path: Image.repo_digests
    as: ignore
    because: the images of this test were imported, and containerd knows no digests for them
`;
/** A replay that waits for a state that never comes takes longer than this. */
const WAIT_MS = 60_000;
const PATIENCE_MS = 300_000;

let test: TestDaemon;
let node: ContainerdNode;
beforeAll(async () => {
  test = await TestDaemon.start();
  // The first pod makes the daemon import the pause image.
  await test.client.call('RemovePodSandbox', { pod_sandbox_id: await runPod(test) });
  node = await ContainerdNode.start({ pause: PAUSE, engine: '28.5', network: true });
  await node.load(sharedDockerHost(), PAUSE, TEST_IMAGE);
}, PATIENCE_MS);
afterAll(async () => {
  await node.stop();
  await test.stop();
}, PATIENCE_MS);

const endpointOf = (name: string): string => (name === 'containerd' ? node.endpoint : test.endpoint);

async function smoke(endpoint: string): Promise<void> {
  const images = new Map([['docker.io/library/busybox:stable', TEST_IMAGE]]);
  const { unmet, left } = await runScenario(endpoint, readScenario(SMOKE), {
    ...{ images, signal, scratch: join(test.directory, 'scratch') },
  });
  expect({ unmet, left }).toEqual({ unmet: [], left: [] });
}

describe.each([
  ['containerd', 'docker'],
  ['docker', 'containerd'],
])('a tape of %s', (one, other) => {
  it.each([
    { what: 'the smoke scenario', work: smoke },
    { what: "a kubelet's calls", work: async (endpoint: string) => walk(endpoint, test.directory) },
  ])(`of $what has no unexplained difference on ${other}`, async ({ work }) => {
    const tape = await recordedCalls(endpointOf(one), test.directory, work);
    const began = performance.now();
    const { recorded, live, skipped, left } = await replay(tape, await readRecorded(tape), {
      ...{ to: endpointOf(other), speed: 'max', images: new Map(), waitMs: WAIT_MS, signal },
      scratch: join(test.directory, 'scratch'),
    });
    const ms = performance.now() - began;
    expect([recorded.runtime.name, live.runtime.name]).toEqual([one, other]);
    const { version } = one === 'containerd' ? recorded.runtime : live.runtime;
    expect(version).toMatch(/^v?2\.1\./);
    const rules = readRules(IMPORTED, 'imported');
    const comparison = compare(recorded, live, rulesFor(recorded.runtime, live.runtime, rules));
    expect(comparison.differences === 0 ? '' : renderText(comparison)).toBe('');
    expect({ skipped, left, isQuick: ms < WAIT_MS }).toEqual({ skipped: [], left: [], isQuick: true });
    expect(live.calls.length).toBeGreaterThan(15);
  });
});
