import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { cri, Decoded } from '../../../src/proto';
import { TestDaemon } from './daemon';
import { engineCall, sharedDockerHost } from './engine';
import { TestRegistry } from './registry';

export type Image = Decoded<cri.IImage>;
const run = promisify(execFile);
let count = 0;
/** The product does not promise this limit. It exists so that a test ends. */
const LIMIT_MS = 15_000;

/** Returns a tar archive of a root file system with one file. */
export async function tarOf(content: string | Buffer): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-image-'));
  try {
    await writeFile(join(directory, 'file'), content);
    const maxBuffer = content.length + 1024 * 1024;
    const { stdout } = await run('tar', ['-C', directory, '-c', 'file'], { encoding: 'buffer', maxBuffer });
    return stdout;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The image calls of a daemon, and images made outside CRI. */
export class TestImages {
  private constructor(
    private readonly test: TestDaemon,
    private readonly tar: Buffer,
  ) {}

  static async of(test: TestDaemon): Promise<TestImages> {
    return new TestImages(test, await tarOf('content'));
  }

  async status(image: string): Promise<Image | null> {
    return (await this.test.client.call('ImageStatus', { image: { image } })).image;
  }

  async list(image?: string): Promise<Image[]> {
    const request = image === undefined ? {} : { filter: { image: { image } } };
    return (await this.test.client.call('ListImages', request)).images;
  }

  async remove(image: string): Promise<void> {
    await this.test.client.call('RemoveImage', { image: { image } });
  }

  async pull(image: string, auth?: cri.IAuthConfig): Promise<string> {
    return (await this.test.client.call('PullImage', { image: { image }, ...(auth && { auth }) })).image_ref;
  }

  /** Polls ImageStatus until `accept` accepts the answer, because nothing reports that dockbridge has handled an event. */
  async untilStatus(name: string, accept: (image: Image | null) => boolean): Promise<Image | null> {
    const end = Date.now() + LIMIT_MS;
    for (;;) {
      const image = await this.status(name);
      if (accept(image)) return image;
      if (Date.now() > end)
        throw new Error(`ImageStatus of ${name} did not return the expected image within ${LIMIT_MS} ms`);
      await delay(20);
    }
  }

  /**
   * Makes a new image outside CRI, and waits until dockbridge knows it. @param changes instructions of a
   * Dockerfile.
   */
  async make({ changes = [], tar = this.tar }: { changes?: readonly string[]; tar?: Buffer } = {}): Promise<{
    name: string;
    id: string;
  }> {
    const repo = `made.test/image-${++count}`;
    const query = [`LABEL n=${process.pid}-${count}`, ...changes]
      .map((change) => `&changes=${encodeURIComponent(change)}`)
      .join('');
    await engineCall(sharedDockerHost(), 'POST', `/images/create?fromSrc=-&repo=${repo}&tag=1${query}`, {
      tar,
    });
    const image = await this.untilStatus(`${repo}:1`, (found) => found !== null);
    return { name: `${repo}:1`, id: image!.id };
  }

  /** Removes all images that tests made or pulled, from any registry. */
  async removeMade(): Promise<void> {
    const made = (await this.list()).filter(({ repo_tags, repo_digests }) =>
      [...repo_tags, ...repo_digests].some((name) => /^(made\.test|127\.0\.0\.1:\d+)\//.test(name)),
    );
    for (const { id } of made) await this.remove(id);
  }
}

export interface ImageTest {
  readonly test: TestDaemon;
  readonly registry: TestRegistry;
  readonly images: TestImages;
  readonly stop: () => Promise<void>;
}

/** Starts a daemon, and a registry to pull from. `stop` also removes the images of the test. */
export async function startImageTest(options?: Parameters<typeof TestDaemon.start>[0]): Promise<ImageTest> {
  const registry = await TestRegistry.start();
  const test = await TestDaemon.start(options);
  const images = await TestImages.of(test);
  const stop = async (): Promise<void> => {
    await images.removeMade();
    await test.stop();
    await registry.stop();
  };
  return { test, registry, images, stop };
}

/** Changes images of the shared Engine outside CRI, as `docker` does. */
export function dockerImages(method: 'POST' | 'DELETE', path: string): Promise<unknown> {
  return engineCall(sharedDockerHost(), method, `/images/${path}`);
}
