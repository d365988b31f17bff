import { existsSync } from 'node:fs';
import { CriClient } from '../../src/server/client/cri-client';
import type { Command } from './support/command';
import { sharedDockerHost } from './support/engine';
import { EngineProxy } from './support/engine-proxy';
import { Serving } from './support/serving';

const serving = new Serving();
const { start, serve, socket, basics, expectServes } = serving;

describe('the end of serve', () => {
  /** Less than the 10 s that a stop may take when something hangs, and more than a busy machine needs. */
  const SOON_MS = 8_000;

  async function timed(command: Command, signal: NodeJS.Signals): Promise<number> {
    const started = Date.now();
    command.signal(signal);
    expect(await command.exit()).toBe(0);
    return Date.now() - started;
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'comes soon after %s, even with connected clients',
    async (signal) => {
      const command = await serve();
      const client = new CriClient(`unix://${socket()}`);
      await client.call('Version', {});
      expect(await timed(command, signal)).toBeLessThan(SOON_MS);
      client.close();
      expect(existsSync(socket())).toBe(false);
      expect((await command.says('Stopped')).level).toBe('info');
    },
  );

  it('comes soon while there is no Engine', async () => {
    const command = start([
      'serve',
      ...basics(),
      '--docker-endpoint',
      `unix://${serving.directory}/none.sock`,
    ]);
    await command.says('Docker Engine is not available');
    expect(await timed(command, 'SIGTERM')).toBeLessThan(SOON_MS);
    expect(existsSync(socket())).toBe(false);
  });

  describe('with an Engine that hangs', () => {
    /** Far more than the 10 s of a stop, and far less than the two minutes of an Engine call. */
    const STOPS_WITHIN_MS = 30_000;
    let proxy: EngineProxy;
    beforeEach(async () => (proxy = await EngineProxy.start(sharedDockerHost())));
    afterEach(() => proxy.stop());

    /** Starts a daemon, and waits until it has connected. Every later Engine call hangs, and one is in progress. */
    async function hungDaemon(): Promise<{ command: Command; client: CriClient }> {
      const command = start(['serve', ...basics(), '--docker-endpoint', proxy.dockerHost]);
      await command.says('Connected to Docker Engine');
      proxy.obey(() => ({ kind: 'hang', when: 'before' }));
      const client = new CriClient(`unix://${socket()}`);
      client.call('PullImage', { image: { image: 'dockbridge.test/none:1' } }).catch(() => undefined);
      await proxy.until(({ hanging }) => hanging.length > 0);
      return { command, client };
    }

    it('comes with SIGTERM nevertheless, and the socket is removed', async () => {
      const { command, client } = await hungDaemon();
      expect(await timed(command, 'SIGTERM')).toBeLessThan(STOPS_WITHIN_MS);
      expect(existsSync(socket())).toBe(false);
      client.close();
    });

    it('delays a daemon that is started meanwhile, which serves afterwards', async () => {
      const { command, client } = await hungDaemon();
      command.signal('SIGTERM');
      await command.says('Stopping');
      const next = start(['serve', ...basics()]);
      await next.says('Connected to Docker Engine');
      expect(await command.exit()).toBe(0);
      await expectServes();
      client.close();
    });
  });

  it('does not come with signals that mean no end', async () => {
    const command = await serve();
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGHUP'] as const) command.signal(signal);
    await command.says('The configuration was read again');
    const client = new CriClient(`unix://${socket()}`);
    await client.call('Version', {});
    client.close();
    expect(await timed(command, 'SIGQUIT')).toBeLessThan(10_000);
    expect(existsSync(socket())).toBe(false);
    // By default, Node.js opens its debugger for SIGUSR1, and whoever reaches its port is root. Node.js also
    // prints a line if the port is taken.
    expect(command.stderr).not.toMatch(/debugger|inspector/i);
  });

  it('comes soon after a signal that arrives as soon as the daemon serves', async () => {
    const command = start(['serve', ...basics()]);
    await command.says('Serving CRI');
    expect(await timed(command, 'SIGTERM')).toBeLessThan(SOON_MS);
    expect(existsSync(socket())).toBe(false);
  });
});
