import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkGate } from '../../../src/lib/async/stopping';
import { failedPrecondition, unavailable, type RuntimeError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { CriClient } from '../../../src/server/client/cri-client';
import { GrpcServer } from '../../../src/server/grpc-server';
import type { Services } from '../../../src/server/services';
import { WritableStore } from '../../../src/store/store';

/**
 * Tests what a call waits for before its handler runs. Each wait fails with an error that contains its name, and
 * the call fails with this error.
 */
describe('a call', () => {
  let directory: string;
  let server: GrpcServer;
  let client: CriClient;
  let gate: WorkGate;
  let refusal: RuntimeError | undefined;
  let observed: string[];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
    const wait =
      (name: string) =>
      (...rest: unknown[]): Promise<never> => {
        const words = rest.filter((one) => typeof one === 'string');
        const hasSignal = rest.at(-1) instanceof AbortSignal;
        return Promise.reject(unavailable([name, ...words, hasSignal].join(' ')));
      };
    const names = [
      ...[
        'whenAnswered',
        'whenListed',
        'whenSyncedOnce',
        'whenImagesSyncedOnce',
        'whenConnected',
        'whenReady',
      ],
      ...['whenContainerKnown', 'whenPodKnown'],
    ];
    const link = Object.fromEntries(names.map((name) => [name, wait(name)]));
    gate = new WorkGate();
    observed = [];
    const endpoint = `unix://${join(directory, 'cri.sock')}`;
    server = new GrpcServer({ link, store: new WritableStore() } as unknown as Services, {
      ...{ endpoint, gate, logger: silentLogger },
      observe: ({ method, code }) => void observed.push(`${method} ${code}`),
      refusal: () => refusal,
    });
    expect(await server.listen()).toBe(endpoint);
    client = new CriClient(endpoint);
  });
  afterAll(async () => {
    client.close();
    await server.close();
    await rm(directory, { recursive: true });
  });

  const why = async (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'nothing',
      (error: unknown) => (error as { details: string }).details,
    );

  it.each<[string, () => Promise<unknown>]>([
    ['whenAnswered true', () => client.call('Version', {})],
    ['whenListed sandbox true', () => client.call('ListPodSandbox', {})],
    ['whenListed container true', () => client.call('ListContainers', {})],
    ['whenSyncedOnce true', () => client.call('ListContainerStats', {})],
    ['whenImagesSyncedOnce true', () => client.call('ListImages', {})],
    ['whenConnected true', () => client.call('StopContainer', { container_id: 'c' })],
    ['whenReady true', () => client.call('PullImage', {})],
    ['whenReady true', () => client.call('RunPodSandbox', {})],
    ['whenSyncedOnce true', () => client.call('ReopenContainerLog', { container_id: 'c' })],
    ['whenContainerKnown c true', () => client.call('ContainerStatus', { container_id: 'c' })],
    ['whenPodKnown s true', () => client.call('PodSandboxStatus', { pod_sandbox_id: 's' })],
    ['nothing', () => client.call('ListMetricDescriptors', {})],
    ['whenListed container true', () => client.stream('StreamContainers', {}).connected],
    ['whenSyncedOnce true', () => client.stream('GetContainerEvents', {}).connected],
  ])('waits for this (the wait, its arguments, and whether it has a signal): %s', async (waits, call) =>
    expect(await why(call())).toBe(waits),
  );

  it('that changes something is refused before it waits, and other calls are not', async () => {
    refusal = failedPrecondition('this dockbridge only observes');
    const stop = (): Promise<string> => why(client.call('StopContainer', { container_id: 'c' }));
    expect(await stop()).toBe('this dockbridge only observes');
    expect(await why(client.call('ListImages', {}))).toBe('whenImagesSyncedOnce true');
    refusal = undefined;
    expect(await stop()).toBe('whenConnected true');
    gate.close('the node was handed over');
    expect(await stop()).toMatch(/the node was handed over/);
    expect(await why(client.call('Version', {}))).toBe('whenAnswered true');
    expect(observed.slice(-5)).toEqual([
      ...['StopContainer FAILED_PRECONDITION', 'ListImages UNAVAILABLE', 'StopContainer UNAVAILABLE'],
      ...[expect.stringMatching(/^StopContainer /) as string, 'Version UNAVAILABLE'],
    ]);
  });
});
