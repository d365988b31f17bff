import type { CriClient } from '../../../src/server/client/cri-client';
import { TestDaemon } from './daemon';
import { engineLeftovers, sharedDockerHost } from './engine';
import { containerConfig, FOREVER, runPod, startedContainer } from './pods';

/** A daemon with one pod and one container, for requests that must change nothing. */
export class BusyDaemon {
  test!: TestDaemon;
  pod!: string;
  container!: string;
  private engineBefore: readonly string[] = [];

  async start(): Promise<void> {
    this.test = await TestDaemon.start();
    this.pod = await runPod(this.test);
    this.container = await startedContainer(this.test, this.pod, containerConfig('main', FOREVER));
    this.engineBefore = await engineLeftovers(sharedDockerHost());
  }

  get client(): CriClient {
    return this.test.client;
  }

  get endpoint(): string {
    return this.test.endpoint;
  }

  /** Checks that the daemon still serves, and that nothing was created in the Engine. */
  async expectUntouched(): Promise<void> {
    const { containers } = await this.client.call('ListContainers', {}, 2_000);
    // An object that was created by mistake must not affect the next test.
    for (const { id } of containers)
      if (id !== this.container) await this.client.call('RemoveContainer', { container_id: id });
    expect(containers.map(({ id }) => id)).toEqual([this.container]);
    const { items } = await this.client.call('ListPodSandbox', {}, 2_000);
    expect(items.map(({ id }) => id)).toEqual([this.pod]);
    expect(await engineLeftovers(sharedDockerHost())).toEqual(this.engineBefore);
  }

  async stop(): Promise<void> {
    await this.test.stop();
  }
}
