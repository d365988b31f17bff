import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { cri } from '../../src/proto';
import { DockerodeClient } from '../../src/docker/dockerode-client';
import { TestDaemon } from './support/daemon';
import { sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import { startImageTest, type TestImages } from './support/images';
import { containerConfig, createContainer, runPod } from './support/pods';
import { CREDENTIALS, type TestRegistry } from './support/registry';
import { startTokenProxy, TOKENS } from './support/token-proxy';

describe('pulls', () => {
  let test: TestDaemon;
  let registry: TestRegistry;
  let images: TestImages;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    ({ test, registry, images, stop } = await startImageTest());
  });
  afterAll(() => stop());

  /** Makes a new image that only the registry has. */
  const pushed = async (name: string, host?: string): Promise<{ id: string; reference: string }> => {
    const { id } = await images.make();
    const reference = await registry.push(id, name, host);
    await images.remove(id);
    return { id, reference };
  };

  it('return the id that all other calls use for the image', async () => {
    const { reference } = await pushed('pulled:1');
    expect(await images.status(reference)).toBeNull();
    const id = await images.pull(reference);
    const image = await images.status(reference);
    expect(image).toMatchObject({ id, repo_tags: [reference] });
    expect(await images.pull(reference)).toBe(id);
    expect(await images.pull(image!.repo_digests[0]!)).toBe(id);
    expect(await images.pull(id)).toBe(id);
    const config = { ...containerConfig('pulled', ''), image: { image: id }, command: ['/file'] };
    const container_id = await createContainer(test, await runPod(test), config);
    const { status: container } = await test.client.call('ContainerStatus', { container_id });
    expect(container).toMatchObject({ image_id: id, image_ref: image!.repo_digests[0] });
    const { containers } = await test.client.call('ListContainers', { filter: { id: container_id } });
    expect(containers).toMatchObject([{ image_id: id }]);
    await test.client.call('RemoveContainer', { container_id });
  });

  it('are inspected without the request for signatures, for which Engines from 29 on call other servers', async () => {
    const { reference } = await pushed('unsigned:1');
    await images.pull(reference);
    const docker = new DockerodeClient({ endpoint: sharedDockerHost(), requestTimeoutMs: 30_000 });
    await docker.version();
    const image = await docker.inspectImage(reference);
    expect(image.RepoTags).toEqual([reference]);
    expect(image).not.toHaveProperty('Identity');
  });

  it('use the tag latest by default', async () => {
    const { reference } = await pushed('plain:latest');
    const id = await images.pull(reference.replace(':latest', ''));
    expect(await images.status(id)).toMatchObject({ repo_tags: [reference] });
  });

  it('by digest set no tag, not even one that is given with the digest', async () => {
    const { reference } = await pushed('digested:1');
    const { digest } = await registry.manifest('digested', '1');
    const byDigest = `${registry.host}/digested@${digest}`;
    for (const name of [byDigest, `${reference}@${digest}`]) {
      const id = await images.pull(name);
      expect(await images.status(name)).toMatchObject({ id, repo_tags: [], repo_digests: [byDigest] });
      await images.remove(name);
      expect(await images.status(id)).toBeNull();
    }
  });

  describe('from a list of platforms', () => {
    const index = async (tag: string, architectures: readonly string[]): Promise<void> => {
      const { type, digest, body } = await registry.manifest('platforms', 'here');
      const list = {
        schemaVersion: 2,
        mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json',
        manifests: architectures.map((architecture) => ({
          mediaType: type,
          digest,
          size: body.length,
          platform: { os: 'linux', architecture },
        })),
      };
      await registry.putManifest('platforms', tag, list.mediaType, JSON.stringify(list));
    };
    const here = { x64: 'amd64' }[process.arch as string] ?? process.arch;

    it("use the node's platform", async () => {
      await pushed('platforms:here');
      await index('both', [here, 'riscv64']);
      const reference = `${registry.host}/platforms:both`;
      const id = await images.pull(reference);
      expect(await images.status(reference)).toMatchObject({ id });
    });

    it("report that there is no image for the node's platform", async () => {
      await index('other', ['riscv64']);
      const reference = `${registry.host}/platforms:other`;
      await expectFailure(images.pull(reference), 'NOT_FOUND', /platforms:other: .*platform/);
      expect(await images.status(reference)).toBeNull();
    });
  });

  describe('with credentials', () => {
    const { username, password } = CREDENTIALS;

    it.each<{ desc: string; auth: () => cri.IAuthConfig }>([
      { desc: 'user and password', auth: () => ({ username, password }) },
      { desc: 'auth', auth: () => ({ auth: Buffer.from(`${username}:${password}`).toString('base64') }) },
      {
        desc: 'the address of the server',
        auth: () => ({ username, password, server_address: `https://${registry.privateHost}/v2/` }),
      },
    ])('accept $desc', async ({ auth }) => {
      const { reference } = await pushed('private/app:1', registry.privateHost);
      const id = await images.pull(reference, auth());
      expect(await images.status(reference)).toMatchObject({ id });
    });

    it('that are wrong, missing or for another server are UNAUTHENTICATED', async () => {
      const { reference } = await pushed('private/app:1', registry.privateHost);
      const wrong = { username, password: 'wrong' };
      await expectFailure(
        images.pull(reference, wrong),
        'UNAUTHENTICATED',
        /app:1: .*refuses the credentials/,
      );
      await expectFailure(images.pull(reference), 'UNAUTHENTICATED', /app:1: .*none were given/);
      const elsewhere = { username, password, server_address: 'registry.example' };
      await expectFailure(images.pull(reference, elsewhere), 'UNAUTHENTICATED', /none were given/);
      expect(await images.status(reference)).toBeNull();
    });

    it('that cannot be read are refused by field', async () => {
      const auth = Buffer.from('no colon').toString('base64');
      await expectFailure(images.pull(`${registry.host}/x:1`, { auth }), 'INVALID_ARGUMENT', /auth\.auth/);
    });

    it('accept identity tokens and registry tokens', async () => {
      const proxy = await startTokenProxy(registry.host);
      try {
        await pushed('tokens:1');
        const reference = `${proxy.host}/tokens:1`;
        for (const auth of [{ identity_token: TOKENS.identity }, { registry_token: TOKENS.registry }]) {
          await expectFailure(images.pull(reference), 'UNAUTHENTICATED', 'tokens:1');
          const id = await images.pull(reference, auth);
          expect(await images.status(reference)).toMatchObject({ id });
          await images.remove(id);
        }
        await expectFailure(images.pull(reference, { registry_token: 'no' }), 'UNAUTHENTICATED', 'tokens:1');
      } finally {
        await proxy.stop();
      }
    });
  });

  describe("with the node's credentials", () => {
    let node: TestDaemon;
    let path: string | undefined;
    const config = (content: object): Promise<void> =>
      writeFile(join(test.directory, 'config.json'), JSON.stringify(content));
    const auth = Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString('base64');
    beforeAll(async () => {
      const { directory } = test;
      const { username: Username, password: Secret } = CREDENTIALS;
      const answer = JSON.stringify({ ServerURL: '', Username, Secret });
      const helper = `#!/bin/sh\nserver=$(cat)\n[ "$1 $server" = "get ${registry.privateHost}" ] && echo '${answer}'\n`;
      await writeFile(join(directory, 'docker-credential-test'), helper, { mode: 0o755 });
      path = process.env.PATH;
      process.env.PATH = `${directory}:${path ?? ''}`;
      const files = [join(directory, 'none.json'), join(directory, 'config.json')];
      node = await TestDaemon.start({ given: { 'registry-config': files.join(',') } });
    });
    afterAll(async () => {
      process.env.PATH = path;
      await node.stop();
    });
    const pullFromNode = async (reference: string, own?: cri.IAuthConfig): Promise<string> => {
      const request = { image: { image: reference }, ...(own && { auth: own }) };
      return (await node.client.call('PullImage', request)).image_ref;
    };

    it('take them from a file, which is read again for each pull', async () => {
      const { reference } = await pushed('private/app:1', registry.privateHost);
      await expectFailure(pullFromNode(reference), 'UNAUTHENTICATED', /none were given/);
      await config({ auths: { [registry.privateHost]: { auth } } });
      expect(await pullFromNode(reference)).toMatch(/^sha256:/);
    });

    it('take them from a credential helper', async () => {
      const { reference } = await pushed('private/app:1', registry.privateHost);
      for (const content of [{ credHelpers: { [registry.privateHost]: 'test' } }, { credsStore: 'test' }]) {
        await config(content);
        const id = await pullFromNode(reference);
        await images.remove(id);
      }
      await config({ credsStore: 'absent' });
      await expectFailure(pullFromNode(reference), 'UNAUTHENTICATED', /none were given/);
    });

    it('prefer the credentials in the request', async () => {
      const { reference } = await pushed('private/app:1', registry.privateHost);
      await config({ auths: { [registry.privateHost]: { auth } } });
      const wrong = { username: 'puller', password: 'wrong' };
      await expectFailure(pullFromNode(reference, wrong), 'UNAUTHENTICATED', /refuses the credentials/);
    });

    it('work with a broken file if they need no credentials', async () => {
      const { reference } = await pushed('open:1');
      await writeFile(join(test.directory, 'config.json'), '{"auths": [');
      expect(await pullFromNode(reference)).toMatch(/^sha256:/);
    });
  });

  describe('that fail name the cause', () => {
    it('if it is the tag or the digest', async () => {
      await pushed('app:latest');
      const reference = `${registry.host}/app:nope`;
      await expectFailure(images.pull(reference), 'NOT_FOUND', /app:nope: .*has no tag nope/);
      const digest = `sha256:${'a'.repeat(64)}`;
      await expectFailure(
        images.pull(`${registry.host}/app@${digest}`),
        'NOT_FOUND',
        new RegExp(`has no digest ${digest}`),
      );
    });

    it('if it is the name of the repository', async () => {
      const reference = `${registry.host}/absent:1`;
      await expectFailure(images.pull(reference), 'NOT_FOUND', /absent:1: .*no repository .*absent/);
      const { username, password } = CREDENTIALS;
      const hidden = `${registry.privateHost}/absent:1`;
      await expectFailure(images.pull(hidden, { username, password }), 'NOT_FOUND', /no repository/);
    });

    it('if it is the request', async () => {
      await expectFailure(images.pull('UPPER/Case'), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(images.pull(''), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(images.pull(`sha256:${'f'.repeat(64)}`), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(
        test.client.call('PullImage', { image: { image: 'x', runtime_handler: 'kata' } }),
        'INVALID_ARGUMENT',
        /runtime_handler/,
      );
    });
  });
});
