import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { carryWithSkopeo, hasSkopeo, skopeoCommand } from '../../../../src/migrate/images/skopeo';

const IMAGE = { id: 'sha256:index', tags: ['a.test/app:1', 'a.test/app:2'], digests: [], size: 1, why: '' };
const ENGINE = 'unix:///var/run/docker.sock';
const WAY = { dockerEndpoint: ENGINE, storage: { driver: 'overlay', root: '/mnt/storage' } };

describe('skopeo', () => {
  let directory: string;
  let program: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-skopeo-'));
    program = join(directory, 'skopeo');
    await writeFile(program, `#!/bin/sh\necho "$@" >>${directory}/calls\n`);
    await chmod(program, 0o755);
  });
  afterEach(() => rm(directory, { recursive: true }));

  /** @returns what was verified. */
  async function carry(configDigest: string | undefined): Promise<string[]> {
    const verified: string[] = [];
    const target = {
      criImage: (name: string) => Promise.resolve(name.endsWith(':1') ? 'sha256:config' : undefined),
      verify: (name: string, id?: string) => Promise.resolve(void verified.push(`${name} ${id}`)),
    };
    await carryWithSkopeo(
      { image: IMAGE, configDigest },
      ...([WAY, target, new AbortController().signal, program] as const),
    );
    return verified;
  }

  it("copies the names that CRI-O does not have into CRI-O's storage, and verifies each", async () => {
    expect(await carry('sha256:config')).toEqual(['a.test/app:2 sha256:config']);
    expect(await readFile(join(directory, 'calls'), 'utf8')).toBe(
      `copy --src-daemon-host ${ENGINE} docker-daemon:a.test/app:2 containers-storage:[overlay@/mnt/storage]a.test/app:2\n`,
    );
  });

  it('copies all names when the digest of the configuration is unknown', async () => {
    expect(await carry(undefined)).toEqual(['a.test/app:1 undefined', 'a.test/app:2 undefined']);
  });

  it('is found only if it is installed', async () => {
    expect(await hasSkopeo(program)).toBe(true);
    expect(await hasSkopeo(join(directory, 'missing'))).toBe(false);
  });

  it('can be shown to a person as a shell command', () => {
    const begin = `skopeo copy --src-daemon-host ${ENGINE} docker-daemon:a:1`;
    expect(skopeoCommand(WAY, 'a:1')).toBe(`${begin} 'containers-storage:[overlay@/mnt/storage]a:1'`);
    expect(skopeoCommand({ ...WAY, storage: undefined }, 'a:1')).toBe(`${begin} containers-storage:a:1`);
  });
});
