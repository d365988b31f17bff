import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DockerClient } from '../../../../src/docker/client';
import { unavailable } from '../../../../src/lib/errors';
import { checkpointToArchive } from '../../../../src/server/runtime/checkpoint-container';
import { rejectionOf } from '../../support/errors';

let directory: string;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-'))));
afterEach(() => rm(directory, { recursive: true, force: true }));

type Checkpoint = DockerClient['checkpointContainer'];

/** Writes the files that an Engine with CRIU writes. */
const writesImages: Checkpoint = async (id, into, name) => {
  await mkdir(join(into, name));
  await writeFile(join(into, name, 'pages-1.img'), `memory of ${id}`);
};

const { signal } = new AbortController();

function checkpoint(checkpointContainer: Checkpoint, more: { location?: string; timeoutMs?: number } = {}) {
  return checkpointToArchive({
    docker: { checkpointContainer },
    id: 'c1',
    location: join(directory, 'c1.tar'),
    timeoutMs: 60_000,
    signal,
    ...more,
  });
}

describe('checkpointToArchive', () => {
  it("packs the Engine's files into an archive that only root may read, and leaves no other file", async () => {
    await writeFile(join(directory, 'c1.tar'), 'an older one');
    await checkpoint(writesImages);
    expect(await readdir(directory)).toEqual(['c1.tar']);
    const file = join(directory, 'c1.tar');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { stdout } = await promisify(execFile)('tar', ['-xOf', file, 'checkpoint/pages-1.img']);
    expect(stdout).toBe('memory of c1');
  });

  it('leaves nothing behind when the Engine fails', async () => {
    const failing: Checkpoint = async (...args) => {
      await writesImages(...args);
      throw unavailable('criu gave up');
    };
    expect(await rejectionOf(checkpoint(failing))).toBe('UNAVAILABLE criu gave up');
    expect(await readdir(directory)).toEqual([]);
  });

  it('ends after the timeout', async () => {
    const hanging: Checkpoint = (_id, _into, _name, _timeout, options) =>
      new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error));
      });
    expect(await rejectionOf(checkpoint(hanging, { timeoutMs: 5 }))).toBe(
      'DEADLINE_EXCEEDED The checkpoint of c1 took longer than 5 ms',
    );
    expect(await readdir(directory)).toEqual([]);
  });

  it('reports that it cannot write to the location before it calls the Engine', async () => {
    let asked = 0;
    const counting: Checkpoint = () => {
      asked++;
      return Promise.resolve();
    };
    const location = join(directory, 'none', 'c1.tar');
    expect(await rejectionOf(checkpoint(counting, { location }))).toMatch(
      /^FAILED_PRECONDITION location: cannot write to .*none \(ENOENT\)/,
    );
    expect(asked).toBe(0);
  });
});

describe('the name of the archive', () => {
  it.each(['checkpoint', 'archive.tar'])('may be %s', async (name) => {
    await checkpoint(writesImages, { location: join(directory, name) });
    expect(await readdir(directory)).toEqual([name]);
    expect((await stat(join(directory, name))).isFile()).toBe(true);
  });

  it('may not be that of a directory', async () => {
    await mkdir(join(directory, 'here'));
    expect(await rejectionOf(checkpoint(writesImages, { location: join(directory, 'here') }))).toMatch(
      /^FAILED_PRECONDITION location: .*here is a directory$/,
    );
    expect(await readdir(directory)).toEqual(['here']);
  });
});
