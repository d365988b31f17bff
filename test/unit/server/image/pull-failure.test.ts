import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EngineError } from '../../../../src/docker/errors';
import { cancelled, RuntimeError, unavailable } from '../../../../src/lib/errors';
import { explainPullFailure } from '../../../../src/server/image/pull-failure';
import type { EngineManifest } from '../../../../src/engine/types';
import { parseReference } from '../../../../src/translate/image/reference';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate } from '../../support/async';

const { signal } = new AbortController();
const engineError = (status: number): EngineError => new EngineError('UNKNOWN', status, `text of ${status}`);

/** Returns the Engine's answer about the manifest of a reference: an HTTP status or the manifest. */
type Manifests = (name: string) => number | EngineManifest;

function explain(reference: string, failure: unknown, manifests: Manifests, auth?: object): Promise<Error> {
  const docker = fakeDocker({
    inspectManifest: (name) => {
      const found = manifests(name);
      return typeof found === 'number' ? Promise.reject(engineError(found)) : Promise.resolve(found);
    },
  });
  const pull = { reference: parseReference(reference, 'image'), auth, platform: 'linux/amd64' };
  // This is longer than the real limit, because a busy machine may take that long for an answer.
  return explainPullFailure(docker, pull, failure, signal, 60_000);
}

/** Starts a registry that answers each request with this status. */
async function listening(status: number): Promise<{ server: Server; host: string }> {
  const server = createServer((_, reply) => reply.writeHead(status).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('a failed pull', () => {
  it.each<{ pull: number; manifest: number | EngineManifest; code: string; says: RegExp }>([
    {
      pull: 404,
      manifest: 404,
      code: 'NOT_FOUND',
      says: /no repository r\.io\/app, or no tag 1 in it \(text of 404\)/,
    },
    { pull: 404, manifest: 403, code: 'PERMISSION_DENIED', says: /denies access/ },
    { pull: 500, manifest: 404, code: 'NOT_FOUND', says: /\(text of 500\)$/ },
    { pull: 401, manifest: 500, code: 'UNAUTHENTICATED', says: /requires credentials, but none were given/ },
    { pull: 500, manifest: 401, code: 'UNAUTHENTICATED', says: /none were given/ },
    { pull: 500, manifest: 429, code: 'RESOURCE_EXHAUSTED', says: /refuses more pulls/ },
    { pull: 500, manifest: {}, code: 'UNKNOWN', says: /has the image, but it cannot be pulled/ },
    {
      pull: 500,
      manifest: { Platforms: [{ os: 'linux', architecture: 'amd64' }] },
      code: 'UNKNOWN',
      says: /cannot be pulled/,
    },
    { pull: 500, manifest: { Platforms: [{ architecture: '' }] }, code: 'UNKNOWN', says: /cannot be pulled/ },
    {
      pull: 404,
      manifest: { Platforms: [{ os: 'linux', architecture: 'arm64' }] },
      code: 'NOT_FOUND',
      says: /no variant for this node's platform, linux\/amd64/,
    },
  ])(
    'with the status $pull, and $manifest for the manifest, is $code',
    async ({ pull, manifest, code, says }) => {
      const error = await explain('r.io/app:1', engineError(pull), () => manifest);
      expect(error).toMatchObject({ code, message: expect.stringMatching(says) as string });
      expect(error.message.startsWith('r.io/app:1: ')).toBe(true);
    },
  );

  it('is blamed on the tag alone when the repository has another tag', async () => {
    const manifests: Manifests = (name) => (name === 'r.io/app:latest' ? {} : 404);
    expect((await explain('r.io/app:1', engineError(404), manifests)).message).toMatch(
      /r\.io\/app has no tag 1 /,
    );
  });

  it.each([
    { status: 401, code: 'UNAUTHENTICATED', says: /refuses the credentials/ },
    { status: 403, code: 'PERMISSION_DENIED', says: /denies access/ },
    { status: 404, code: 'UNAVAILABLE', says: /does not answer correctly/ },
    { status: 200, code: 'UNAVAILABLE', says: /does not answer correctly/ },
  ])(
    'is explained by the status $status of the registry if the Engine gives no reason',
    async ({ status, code, says }) => {
      const { server, host } = await listening(status);
      try {
        const error = await explain(`${host}/app:1`, engineError(500), () => 500, { username: 'u' });
        expect(error).toMatchObject({ code, message: expect.stringMatching(says) as string });
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    },
  );

  it('from a registry that cannot be reached is UNAVAILABLE', async () => {
    const { server, host } = await listening(200);
    await new Promise((resolve) => server.close(resolve));
    const error = await explain(`${host}/app:1`, engineError(500), () => 500);
    expect(error).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/cannot be reached \(text of 500\)$/) as string,
    });
  });

  it('is explained within a second, however long the pull itself took', async () => {
    const limit = jest.spyOn(global, 'setTimeout');
    const docker = fakeDocker({ inspectManifest: () => Promise.reject(engineError(404)) });
    const pull = { reference: parseReference('r.io/app', 'image'), auth: undefined, platform: undefined };
    try {
      await explainPullFailure(docker, pull, engineError(404), signal);
      expect(limit.mock.calls.map(([, ms]) => ms)).toEqual([1_000]);
    } finally {
      limit.mockRestore();
    }
  });

  it('from a registry that accepts connections but never answers is explained after one second in total', async () => {
    const knocked = gate();
    const server = createServer().on('connection', () => knocked.resolve());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    let isAnswered = false;
    const docker = fakeDocker({
      inspectManifest: (_name, _auth, options) =>
        new Promise((_, reject) =>
          options?.signal?.addEventListener('abort', () => {
            isAnswered = true;
            reject(options.signal?.reason as Error);
          }),
        ),
    });
    const reference = parseReference(`${host}/app:1`, 'image');
    const pull = { reference, auth: undefined, platform: 'linux/amd64' };
    const begunAt = performance.now();
    try {
      const explained = explainPullFailure(docker, pull, engineError(500), signal);
      await knocked.promise;
      expect(isAnswered).toBe(false);
      expect(await explained).toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/does not answer in time \(text of 500\)$/) as string,
      });
      // The limit of one second covers all questions. The rest is for a busy machine.
      expect(performance.now() - begunAt).toBeLessThan(10_000);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('is not blamed on the credentials if the registry requires some but the Engine does not answer in time', async () => {
    const { server, host } = await listening(401);
    const docker = fakeDocker({
      inspectManifest: (_name, _auth, options) =>
        new Promise((_, reject) =>
          options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error)),
        ),
    });
    const reference = parseReference(`${host}/app:1`, 'image');
    const pull = { reference, auth: { username: 'u' }, platform: 'linux/amd64' };
    try {
      expect(await explainPullFailure(docker, pull, engineError(500), signal)).toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/does not answer in time/) as string,
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it.each([cancelled('gone'), unavailable('no Engine'), new RuntimeError('UNKNOWN', 'torn')])(
    'that already has an explanation keeps it: %s',
    async (failure) => {
      const nobody: Manifests = () => {
        throw new Error('not to be asked');
      };
      expect(await explain('r.io/app:1', failure, nobody)).toBe(failure);
    },
  );
});
