import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { TestDaemon } from './support/daemon';
import { expectFailure, RawClient } from './support/grpc';
import { startImageTest, tarOf, TestImages } from './support/images';
import { RegistryProxy, type Interception } from './support/registry-proxy';
import type { TestRegistry } from './support/registry';
import { until } from '../unit/support/async';

/** The layer has several MiB, because the containerd store reports progress by the MiB. */
const LAYER_BYTES = 8 * 1024 * 1024;
/** Short enough to wait for, and long enough for a byte to arrive on a busy machine. */
const PROGRESS_DEADLINE = '3s';

describe('pulls from a registry in trouble', () => {
  let test: TestDaemon;
  let registry: TestRegistry;
  let images: TestImages;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    ({ test, registry, images, stop } = await startImageTest({
      given: { 'image-pull-progress-deadline': PROGRESS_DEADLINE },
    }));
  });
  afterAll(() => stop());

  /** Returns how many pulls of the Engine have ended, with or without success. */
  const enginePulls = (): number =>
    test.engineCalls.filter(({ operation }) => operation === 'pullImage').length;
  const withProxy = async (work: (proxy: RegistryProxy) => Promise<void>): Promise<void> => {
    const proxy = await RegistryProxy.start(registry.host);
    try {
      await work(proxy);
    } finally {
      await proxy.stop();
    }
  };
  /**
   * Publishes an image of one incompressible layer only in the registry, which the Engine reaches through
   * the proxy.
   */
  const large = async (name: string, proxy: RegistryProxy): Promise<string> => {
    const { id } = await images.make({ tar: await tarOf(randomBytes(LAYER_BYTES)) });
    await registry.push(id, name);
    await images.remove(id);
    return `${proxy.host}/${name}`;
  };
  const stall = { kind: 'stall', afterBytes: LAYER_BYTES / 2 } as const;

  it('that stall in a layer end after the deadline, and can be tried again', () =>
    withProxy(async (proxy) => {
      const reference = await large('stalled:1', proxy);
      proxy.let(stall);
      await expectFailure(
        images.pull(reference),
        'UNAVAILABLE',
        /stalled:1: .*made no progress for 3(\.\d)? s .*image-pull-progress-deadline.*layers complete: 0 of 1/,
      );
      expect(await images.status(reference)).toBeNull();
      proxy.let({ kind: 'free' });
      expect(await images.pull(reference)).toMatch(/^sha256:/);
    }));

  it('that are slow are not cancelled, however long they take', () =>
    withProxy(async (proxy) => {
      const reference = await large('slow:1', proxy);
      // The whole pull takes twice the deadline.
      proxy.let({ kind: 'trickle', bytes: LAYER_BYTES / 60, everyMs: 100 });
      expect(await images.pull(reference)).toMatch(/^sha256:/);
    }));

  it("that are cancelled in a layer end the Engine's pull, and can be tried again", () =>
    withProxy(async (proxy) => {
      const reference = await large('cancelled:1', proxy);
      proxy.let(stall);
      const before = enginePulls();
      const raw = new RawClient(test.endpoint);
      try {
        const call = raw.open('PullImage', { image: { image: reference } });
        await proxy.untilStalled();
        call.cancel();
        await expect(call.ended).rejects.toMatchObject({
          details: expect.stringMatching(/cancel/i) as string,
        });
        await until(() => enginePulls() > before, "the end of the Engine's pull");
      } finally {
        raw.close();
      }
      proxy.let({ kind: 'free' });
      expect(await images.pull(reference)).toMatch(/^sha256:/);
      expect((await images.status(reference))?.repo_tags).toEqual([reference]);
    }));

  it('of one image, twenty at a time, share one pull of the Engine, which continues if one of them is cancelled', () =>
    withProxy(async (proxy) => {
      const reference = await large('same:1', proxy);
      proxy.let(stall);
      const before = enginePulls();
      const raw = new RawClient(test.endpoint);
      try {
        const impatient = raw.open('PullImage', { image: { image: reference } });
        const pulls = Array.from({ length: 20 }, () => images.pull(reference));
        await proxy.untilStalled();
        impatient.cancel();
        await expect(impatient.ended).rejects.toMatchObject({
          details: expect.stringMatching(/cancel/i) as string,
        });
        proxy.let({ kind: 'free' });
        const ids = await Promise.all(pulls);
        expect(new Set(ids)).toEqual(new Set([(await images.status(reference))?.id]));
      } finally {
        raw.close();
      }
      expect(enginePulls() - before).toBe(1);
      expect(new Set(proxy.downloads).size).toBe(proxy.downloads.length);
    }));

  it('of twenty different images at a time all succeed', () =>
    withProxy(async (proxy) => {
      const names = Array.from({ length: 20 }, (_, index) => `different-${index}:1`);
      for (const name of names) {
        const { id } = await images.make({ tar: await tarOf(name) });
        await registry.push(id, name);
        await images.remove(id);
      }
      const references = names.map((name) => `${proxy.host}/${name}`);
      // This test uses the usual deadline, because a busy machine may be silent for longer than the short
      // one.
      const patient = await TestDaemon.start();
      try {
        const pulled = await TestImages.of(patient);
        const ids = await Promise.all(references.map((reference) => pulled.pull(reference)));
        expect(new Set(ids).size).toBe(20);
        const listed = await pulled.list();
        for (const [index, reference] of references.entries())
          expect(listed.find(({ id }) => id === ids[index])?.repo_tags).toEqual([reference]);
      } finally {
        await patient.stop();
      }
    }));
});

describe('failed pulls', () => {
  let registry: TestRegistry;
  let images: TestImages;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    // This test uses the usual deadline, because on a busy machine an Engine may need longer to fail than
    // the short one.
    ({ registry, images, stop } = await startImageTest());
  });
  afterAll(() => stop());

  it('from a registry that accepts and never answers end soon after the Engine has given up', async () => {
    const silent = createServer((socket) => socket.on('error', () => socket.destroy()));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    // This test uses the usual limits of the deadline, and of the requests that follow a failed pull.
    const usual = await TestDaemon.start({ pullQuestionsMs: undefined });
    try {
      const begunAt = performance.now();
      let engineGaveUpAt = 0;
      jest.spyOn(usual.engineCalls, 'push').mockImplementation(({ operation }) => {
        if (operation === 'pullImage') engineGaveUpAt = performance.now();
        return 0;
      });
      const { client } = usual;
      await expectFailure(
        client.call('PullImage', { image: { image: `${host}/silent:1` } }),
        'UNAVAILABLE',
        /silent:1: registry .* does not answer in time/,
      );
      const answeredAt = performance.now();
      expect(engineGaveUpAt).toBeGreaterThan(begunAt);
      // One after the other, these requests took 20 s. The Engine's pull takes 15 to 25 s.
      expect(answeredAt - engineGaveUpAt).toBeLessThan((engineGaveUpAt - begunAt) / 2);
    } finally {
      silent.close();
      await usual.stop();
    }
  }, 180_000);

  it('from a registry that is down are UNAVAILABLE', async () => {
    const proxy = await RegistryProxy.start(registry.host);
    await proxy.stop();
    const reference = `${proxy.host}/down:1`;
    await expectFailure(
      images.pull(reference),
      'UNAVAILABLE',
      new RegExp(`down:1: registry ${proxy.host} cannot be reached`),
    );
    await expectFailure(
      images.pull('absent.invalid/x:1'),
      'UNAVAILABLE',
      /absent\.invalid cannot be reached/,
    );
  });

  const says =
    (status: number, code: string): Interception =>
    (_, reply) => {
      reply.writeHead(status, { 'Content-Type': 'application/json' });
      reply.end(JSON.stringify({ errors: [{ code, message: 'no' }] }));
      return true;
    };

  it.each([
    { status: 403, word: 'DENIED', code: 'PERMISSION_DENIED', says: /denies access/ },
    { status: 429, word: 'TOOMANYREQUESTS', code: 'RESOURCE_EXHAUSTED', says: /refuses more pulls/ },
    { status: 500, word: 'UNKNOWN', code: 'UNAVAILABLE', says: /does not answer correctly/ },
    { status: 503, word: 'UNAVAILABLE', code: 'UNAVAILABLE', says: /does not answer correctly/ },
  ] as const)(
    'from a registry that answers $status are $code',
    async ({ status, word, code, says: text }) => {
      const proxy = await RegistryProxy.start(registry.host, says(status, word));
      try {
        await expectFailure(images.pull(`${proxy.host}/refused:1`), code, text);
      } finally {
        await proxy.stop();
      }
    },
  );
});
