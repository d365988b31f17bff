import type { Duplex } from 'node:stream';
import { loggerInto, thresholdOf } from '../../../src/lib/logger';
import { failedPrecondition } from '../../../src/lib/errors';
import { Mux, RUNTIME_CONNECTION } from '../../../src/nri/mux';
import { NriPlugin, type InstalledPlugin, type PluginLimits } from '../../../src/nri/plugin';
import type { TtrpcClient } from '../../../src/nri/ttrpc/client';
import type { Decoded } from '../../../src/proto';
import type { nri } from '../../../src/proto/nri';
import { settle } from '../support/async';
import { rejectionOf } from '../support/errors';
import { FakePlugin } from './fake-plugin';
import { withSocketPair } from './sockets';

const LIMITS: PluginLimits = { registrationMs: 30_000, requestMs: 30_000 };
const ALL = 0x3fff;

interface Made {
  readonly plugin: NriPlugin;
  /** Tests that need a short limit set it after the start, which may take longer on a busy machine. */
  readonly limits: { -readonly [Name in keyof PluginLimits]: number };
  readonly lines: [level: string, message: string, fields: unknown][];
}

function pluginOn(
  socket: Duplex,
  {
    limits = LIMITS,
    installed,
    update = () => Promise.resolve([]),
  }: {
    limits?: PluginLimits;
    installed?: InstalledPlugin;
    update?: (plugin: string, updates: readonly nri.IContainerUpdate[]) => Promise<nri.IContainerUpdate[]>;
  } = {},
): Made {
  const lines: Made['lines'] = [];
  const logger = loggerInto(
    (level, message, fields) => lines.push([level, message(), fields()]),
    thresholdOf('info'),
  );
  const own = { ...limits };
  const surroundings = { runtimeName: 'dockbridge', runtimeVersion: '1.2.3', limits: own, update, logger };
  return { plugin: new NriPlugin(socket, installed, surroundings), lines, limits: own };
}

const dropped = (plugin: string, error: unknown): unknown[] => [
  'warn',
  'An NRI plugin is dropped',
  { plugin, error },
];

/** Runs a test with a plugin that is registered as `10-test`. */
function withStarted(
  handlers: ConstructorParameters<typeof FakePlugin>[1],
  test: (made: Made & { fake: FakePlugin }) => Promise<void>,
  options: Parameters<typeof pluginOn>[1] = {},
): Promise<void> {
  return withSocketPair(async ({ one, other }) => {
    const made = pluginOn(one, options);
    const fake = new FakePlugin(other, handlers);
    await Promise.all([made.plugin.start(), fake.register('test', '10')]);
    await test({ ...made, fake });
  });
}

describe('NriPlugin.start', () => {
  it('learns who the plugin is and configures it', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin, lines } = pluginOn(one);
      const configured: Decoded<nri.IConfigureRequest>[] = [];
      const fake = new FakePlugin(other, {
        Configure: (request: Decoded<nri.IConfigureRequest>) => {
          configured.push(request);
          return { events: 0b1001 };
        },
      });
      await Promise.all([plugin.start(), fake.register('my.plugin_1+x-y', '07')]);
      expect(plugin.fullName).toBe('07-my.plugin_1+x-y');
      expect(configured).toMatchObject([
        { config: '', runtime_name: 'dockbridge', runtime_version: '1.2.3', NRI_version: 'v0.12.0' },
      ]);
      expect(
        configured.map((one) => [Number(one.registration_timeout), Number(one.request_timeout)]),
      ).toEqual([[30_000, 30_000]]);
      expect(
        (['RunPodSandbox', 'StopPodSandbox', 'CreateContainer', 'UpdatePodSandbox'] as const).map((event) =>
          plugin.isSubscribedTo(event),
        ),
      ).toEqual([true, false, true, false]);
      expect(lines).toEqual([]);
    }));

  it('takes a mask of 0 for all events', () =>
    withStarted({ Configure: () => ({ events: 0 }) }, ({ plugin }) => {
      expect(plugin.isSubscribedTo('ValidateContainerAdjustment')).toBe(true);
      return Promise.resolve();
    }));

  it('gives an installed plugin its configuration and keeps the name of its file', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin } = pluginOn(one, { installed: { index: '20', name: 'file', config: 'a: 1' } });
      let config = '';
      const fake = new FakePlugin(other, {
        Configure: (request: Decoded<nri.IConfigureRequest>) => {
          config = request.config;
          return {};
        },
      });
      await Promise.all([plugin.start(), fake.register('other', '99')]);
      expect([plugin.fullName, config]).toEqual(['20-file', 'a: 1']);
    }));

  it.each([
    ['', '10', 'plugin_name: "" is not made of letters'],
    ['a/b', '10', 'plugin_name: "a/b" is not made of letters'],
    ['a', '1', 'plugin_idx: "1" is not two digits'],
    ['a', '1x', 'plugin_idx: "1x" is not two digits'],
    ['a', '123', 'plugin_idx: "123" is not two digits'],
  ])('refuses the name "%s" with the index "%s", and tells the plugin', (name, index, message) =>
    withSocketPair(async ({ one, other }) => {
      const { plugin, lines } = pluginOn(one);
      const fake = new FakePlugin(other);
      const started = rejectionOf(plugin.start());
      expect(await rejectionOf(fake.register(name, index))).toContain(message);
      expect(await started).toContain(message);
      expect(lines).toEqual([dropped('??-plugin', expect.stringContaining(message))]);
    }),
  );

  it('refuses a second registration and goes on', () =>
    withStarted({}, async ({ plugin, fake }) => {
      expect(await rejectionOf(fake.register('again', '11'))).toBe(
        'FAILED_PRECONDITION the plugin is registered already',
      );
      expect([plugin.fullName, plugin.isClosed]).toEqual(['10-test', false]);
    }));

  it('drops a plugin that does not register in time', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin, lines } = pluginOn(one, { limits: { ...LIMITS, registrationMs: 20 } });
      const fake = new FakePlugin(other);
      const message = 'The registration took longer than 20 ms';
      expect(await rejectionOf(plugin.start())).toBe(`DEADLINE_EXCEEDED ${message}`);
      await fake.mux.closed;
      expect(lines).toEqual([dropped('??-plugin', message)]);
    }));

  it('fails when the plugin goes away before it registers', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin, lines } = pluginOn(one);
      other.destroy();
      expect(await rejectionOf(plugin.start())).toMatch(/^UNAVAILABLE /);
      expect(lines).toHaveLength(1);
    }));

  it('drops a plugin that subscribes to unknown events', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin } = pluginOn(one);
      const fake = new FakePlugin(other, { Configure: () => ({ events: ALL + 1 }) });
      const started = rejectionOf(plugin.start());
      await fake.register('test', '10').catch(() => undefined);
      expect(await started).toContain('it subscribes to unknown events (0x4000)');
    }));

  it('drops a plugin that refuses its configuration', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin, lines } = pluginOn(one);
      const fake = new FakePlugin(other, {
        Configure: () => Promise.reject(failedPrecondition('bad config')),
      });
      const started = rejectionOf(plugin.start());
      await fake.register('test', '10').catch(() => undefined);
      expect(await started).toBe('FAILED_PRECONDITION bad config');
      expect(lines).toEqual([dropped('10-test', 'bad config')]);
    }));
});

describe('NriPlugin.synchronize', () => {
  const pods = (count: number, size = 0): nri.IPodSandbox[] =>
    Array.from({ length: count }, (_, at) => ({ id: `p${at}`, name: 'x'.repeat(size) }));

  it('sends everything in one message and returns the updates', () =>
    withStarted(
      {
        Synchronize: (request: Decoded<nri.ISynchronizeRequest>) => ({
          update: [{ container_id: `${request.pods.length} ${request.containers.length} ${request.more}` }],
        }),
      },
      async ({ plugin }) => {
        const updates = await plugin.synchronize(pods(2), [{ id: 'c' }]);
        expect(updates).toMatchObject([{ container_id: '2 1 false' }]);
      },
    ));

  it('divides what is too large for one message', () => {
    const got: [pods: string[], containers: string[], more: boolean][] = [];
    return withStarted(
      {
        Synchronize: ({ pods, containers, more }: Decoded<nri.ISynchronizeRequest>) => {
          got.push([pods.map(({ id }) => id), containers.map(({ id }) => id), more]);
          return { more, update: more ? [] : [{ container_id: 'last' }] };
        },
      },
      async ({ plugin }) => {
        const large = 'y'.repeat(1_500_000);
        const updates = await plugin.synchronize(pods(3, 1_500_000), [
          { id: 'c0', name: large },
          { id: 'c1', name: large },
        ]);
        expect(got).toEqual([
          [['p0', 'p1'], [], true],
          [['p2'], ['c0'], true],
          [[], ['c1'], false],
        ]);
        expect(updates).toMatchObject([{ container_id: 'last' }]);
      },
    );
  });

  it.each<[string, nri.ISynchronizeResponse]>([
    ['does not collect messages', { more: false }],
    ['answers with updates too early', { more: true, update: [{ container_id: 'c' }] }],
  ])('drops a plugin that %s', (_what, answer) =>
    withStarted({ Synchronize: () => answer }, async ({ plugin, lines }) => {
      expect(await rejectionOf(plugin.synchronize(pods(3, 1_500_000), []))).toContain(
        'it cannot take a Synchronize request in several messages',
      );
      expect([plugin.isClosed, lines.length]).toEqual([true, 1]);
    }),
  );

  it('drops a plugin when one pod alone is too large', () =>
    withStarted({}, async ({ plugin }) => {
      expect(await rejectionOf(plugin.synchronize(pods(1, 4_200_000), []))).toMatch(
        /^RESOURCE_EXHAUSTED pod p0 has \d+ bytes/,
      );
      expect(plugin.isClosed).toBe(true);
    }));

  it('drops a plugin that hangs', () =>
    withStarted({ Synchronize: () => new Promise(() => undefined) }, async ({ plugin, lines, limits }) => {
      limits.requestMs = 100;
      expect(await rejectionOf(plugin.synchronize([], []))).toMatch(
        /^DEADLINE_EXCEEDED Synchronize took longer/,
      );
      expect(lines).toEqual([dropped('10-test', expect.stringMatching(/^Synchronize took longer/))]);
    }));
});

describe('NriPlugin.relay', () => {
  it('returns the answer', () =>
    withStarted({ StopContainer: () => ({ update: [{ container_id: 'other' }] }) }, async ({ plugin }) => {
      await expect(plugin.relay('StopContainer', { container: { id: 'c' } })).resolves.toMatchObject({
        update: [{ container_id: 'other' }],
      });
    }));

  it('sends nothing to a plugin that has not subscribed', () =>
    withStarted({ Configure: () => ({ events: 1 }), StopContainer: () => ({}) }, async ({ plugin, fake }) => {
      expect(await plugin.relay('StopContainer', {})).toBeUndefined();
      expect(fake.calls).toEqual(['Configure']);
    }));

  it('passes on the refusal of a plugin, which stays', () =>
    withStarted(
      { RunPodSandbox: () => Promise.reject(failedPrecondition('no pods today')) },
      async ({ plugin, lines }) => {
        expect(await rejectionOf(plugin.relay('RunPodSandbox', {}))).toBe(
          'FAILED_PRECONDITION no pods today',
        );
        expect([plugin.isClosed, lines]).toEqual([false, []]);
      },
    ));

  it('drops a plugin that hangs, and goes on without it', () =>
    withStarted(
      { CreateContainer: () => new Promise(() => undefined) },
      async ({ plugin, lines, fake, limits }) => {
        limits.requestMs = 300;
        expect(await plugin.relay('CreateContainer', {})).toBeUndefined();
        expect(await plugin.relay('CreateContainer', {})).toBeUndefined();
        await fake.mux.closed;
        expect(lines).toEqual([
          dropped('10-test', 'CreateContainer failed: CreateContainer took longer than 300 ms'),
        ]);
        expect(fake.calls).toEqual(['Configure', 'CreateContainer']);
      },
    ));

  it('drops a plugin that dies during a request, with one line in the log', () =>
    withStarted({ StartContainer: () => new Promise(() => undefined) }, async ({ plugin, fake, lines }) => {
      const relayed = plugin.relay('StartContainer', {});
      while (!fake.calls.includes('StartContainer')) await settle();
      fake.mux.close(failedPrecondition('dies'));
      expect(await relayed).toBeUndefined();
      await plugin.closed;
      await settle();
      expect(lines).toHaveLength(1);
    }));

  it('drops a plugin whose answer cannot be decoded', () =>
    withStarted({ CreateContainer: () => ({}) }, async ({ plugin, lines }) => {
      const { client } = plugin as unknown as { client: TtrpcClient };
      const real = client.call.bind(client);
      client.call = (service, method, codecs, request, timeoutMs) =>
        real(
          service,
          method,
          {
            ...codecs,
            response: {
              ...codecs.response,
              decode: () => {
                throw new Error('invalid wire type');
              },
            },
          },
          request,
          timeoutMs,
        );
      expect(await plugin.relay('CreateContainer', {})).toBeUndefined();
      expect(lines).toEqual([dropped('10-test', expect.stringContaining('cannot be decoded'))]);
    }));

  it('sends StateChange to a plugin that implements nothing else, and warns once', () => {
    const events: [number, string][] = [];
    return withStarted(
      {
        StateChange: (request: Decoded<nri.IStateChangeEvent>) => {
          events.push([request.event, request.pod?.id ?? '']);
          return {};
        },
      },
      async ({ plugin, lines, fake }) => {
        await plugin.relay('RunPodSandbox', { pod: { id: 'p' } });
        await plugin.relay('PostUpdateContainer', { pod: { id: 'q' }, container: { id: 'c' } });
        expect(events).toEqual([
          [1, 'p'],
          [9, 'q'],
        ]);
        expect(fake.calls).toEqual(['Configure', 'StateChange', 'StateChange']);
        expect(lines.map(([level, message]) => [level, message])).toEqual([
          ['warn', 'An NRI plugin supports only the old method StateChange; update it'],
        ]);
      },
    );
  });

  it('fails if a plugin does not implement CreateContainer, for which StateChange has no answer', () =>
    withStarted({ StateChange: () => ({}) }, async ({ plugin, fake }) => {
      expect(await rejectionOf(plugin.relay('CreateContainer', {}))).toMatch(/^UNIMPLEMENTED /);
      expect(fake.calls).toEqual(['Configure']);
    }));

  it('keeps a plugin when a request is too large for it', () =>
    withStarted({ RunPodSandbox: () => ({}) }, async ({ plugin }) => {
      const pod = { id: 'x'.repeat(5_000_000) };
      expect(await rejectionOf(plugin.relay('RunPodSandbox', { pod }))).toMatch(/^RESOURCE_EXHAUSTED/);
      expect(plugin.isClosed).toBe(false);
    }));
});

describe('The updates that a plugin asks for by itself', () => {
  it('reach the runtime, and failed ones return', () => {
    const asked: unknown[] = [];
    return withStarted(
      {},
      async ({ fake }) => {
        const { failed } = await fake.update([{ container_id: 'a' }, { container_id: 'b' }]);
        expect(failed.map(({ container_id }) => container_id)).toEqual(['b']);
        expect(asked).toEqual(['10-test', 'a', 'b']);
      },
      {
        update: (plugin, updates) => {
          asked.push(plugin, ...updates.map(({ container_id }) => container_id));
          return Promise.resolve(updates.slice(1));
        },
      },
    );
  });

  it('are refused before the registration', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin } = pluginOn(one);
      const fake = new FakePlugin(other);
      const started = plugin.start();
      expect(await rejectionOf(fake.update([]))).toBe('FAILED_PRECONDITION the plugin is not registered');
      await fake.register('test', '10');
      await started;
    }));
});

describe('NriPlugin.shutdown', () => {
  it('calls Shutdown, closes the connection, and logs nothing', () =>
    withStarted({ Shutdown: () => ({}) }, async ({ plugin, fake, lines }) => {
      await plugin.shutdown();
      await fake.mux.closed;
      expect([fake.calls.at(-1), plugin.isClosed, lines]).toEqual(['Shutdown', true, []]);
    }));

  it('does not wait long for a plugin that hangs', () =>
    withStarted({ Shutdown: () => new Promise(() => undefined) }, async ({ plugin, fake, limits }) => {
      limits.requestMs = 100;
      await plugin.shutdown();
      expect((await fake.mux.closed).code).toBe('UNAVAILABLE');
    }));
});

describe('A connection that breaks the protocol', () => {
  it('is dropped before the registration', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin, lines } = pluginOn(one);
      const started = rejectionOf(plugin.start());
      other.write('GET / HTTP/1.1\r\n\r\n');
      expect(await started).toMatch(/^INTERNAL the other end broke the protocol: a frame of \d+ bytes/);
      expect(lines).toHaveLength(1);
    }));

  it('is dropped when its messages are too long', () =>
    withSocketPair(async ({ one, other }) => {
      const { plugin } = pluginOn(one);
      const started = rejectionOf(plugin.start());
      const mux = new Mux(other);
      const reader = { receive: () => undefined, closed: () => undefined };
      mux.open(RUNTIME_CONNECTION, reader).send([Buffer.alloc(10, 0xff)]);
      expect(await started).toMatch(/a message of 4294967295 bytes/);
    }));
});
