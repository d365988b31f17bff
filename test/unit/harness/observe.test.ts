import { Readable } from 'node:stream';
import { observationOf } from '../../../src/harness/compare/observe';

const HEAD = {
  ...{ tape: 1, recorded: 'x', by: 'test', redacted: [] },
  upstream: { endpoint: 'unix:///x', runtime_name: 'containerd', runtime_version: '2.1' },
};

async function observed(lines: readonly object[]): ReturnType<typeof observationOf> {
  const text = [HEAD, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
  return observationOf('/tmp/a.tape', Readable.from([Buffer.from(text)]));
}

it('a tape becomes calls with their pods', async () => {
  const config = { metadata: { name: 'web-0', namespace: 'default' } };
  const { observation, problems } = await observed([
    { n: 2, t: 1, method: 'StopPodSandbox', request: { pod_sandbox_id: 'p' } },
    { n: 1, t: 0, method: 'RunPodSandbox', request: { config } },
    { n: 1, t: 0.5, method: 'RunPodSandbox', status: 'OK', ms: 500, response: { pod_sandbox_id: 'p' } },
    { n: 2, t: 1.1, method: 'StopPodSandbox', status: 'INTERNAL', ms: 100, details: 'no' },
    { t: 2, end: true, calls: 2, lost: 0 },
  ]);
  expect(problems).toEqual([]);
  expect(observation).toEqual({
    source: '/tmp/a.tape',
    runtime: { name: 'containerd', version: '2.1' },
    calls: [
      {
        ...{ n: 1, t: 0, ms: 500, method: 'RunPodSandbox', request: { config }, status: 'OK' },
        ...{ response: { pod_sandbox_id: 'p' }, pod: 'default/web-0' },
      },
      {
        ...{ n: 2, t: 1, ms: 100, method: 'StopPodSandbox', request: { pod_sandbox_id: 'p' } },
        ...{ status: 'INTERNAL', details: 'no', pod: 'default/web-0' },
      },
    ],
  });
});

it('a running watch is kept, and calls without an answer of the runtime are omitted and reported', async () => {
  const { observation, problems } = await observed([
    { n: 1, t: 0, method: 'GetContainerEvents' },
    { n: 1, t: 1, method: 'GetContainerEvents', i: 0, message: { container_id: 'c' } },
    { n: 2, t: 2, method: 'Status', request: {} },
    { n: 5, t: 2.5, method: 'GetContainerEvents' },
    { n: 5, t: 2.6, method: 'GetContainerEvents', status: 'CANCELLED', by: 'client', ms: 100 },
    { n: 3, t: 3, method: 'Version', request: {} },
    { n: 3, t: 4, method: 'Version', status: 'CANCELLED', by: 'client', ms: 1000 },
    { n: 4, t: 4, method: 'Version', status: 'OK', ms: 1 },
    { t: 5, lost: 2 },
  ]);
  expect(observation.calls).toEqual([
    {
      ...{ n: 1, t: 0, ms: 0, method: 'GetContainerEvents', request: {}, status: 'CANCELLED' },
      messages: [{ container_id: 'c' }],
    },
    { n: 5, t: 2.5, ms: 100, method: 'GetContainerEvents', request: {}, status: 'CANCELLED' },
  ]);
  expect(problems).toEqual([
    'a.tape: 2 lines are missing, because the recording lost them',
    "a.tape: 3 calls are not compared, because the tape does not contain the runtime's answer",
    expect.stringContaining('a.tape: line 10 is the last line but not the end of a tape') as string,
  ]);
});

it('calls with an injected fault other than a delay are omitted and reported', async () => {
  const call = (n: number, ...faults: string[]): object[] => [
    { n, t: n, method: 'ContainerStatus', request: { container_id: 'c' } },
    ...faults.map((fault) => ({ n, t: n, method: 'ContainerStatus', fault, rule: 0 })),
    { n, t: n + 0.5, method: 'ContainerStatus', status: 'OK', ms: 500, response: {} },
  ];
  const { observation, problems } = await observed([
    ...[...call(1), ...call(2, 'delay'), ...call(3, 'stale'), ...call(4, 'delay', 'duplicate')],
    { n: 5, t: 5, method: 'ContainerStatus', request: {} },
    { n: 5, t: 5.5, method: 'ContainerStatus', status: 'UNAVAILABLE', ms: 500, by: 'proxy' },
    { n: 5, t: 5.6, method: 'ContainerStatus', fault: 'lose_answer', rule: 0 },
    { n: 6, t: 6, method: 'GetContainerEvents' },
    { n: 6, t: 6, method: 'GetContainerEvents', fault: 'cut', rule: 0 },
    { n: 7, t: 7, method: 'ContainerStatus', request: {} },
    { n: 7, t: 7, method: 'ContainerStatus', fault: 'hang', rule: 0 },
    { t: 8, fault: 'restart', rule: 0 },
    { t: 9, end: true, calls: 7, lost: 0 },
  ]);
  expect(observation.calls.map(({ n }) => n)).toEqual([1, 2]);
  expect(problems).toEqual(['a.tape: 5 calls are not compared, because of an injected fault']);
});
