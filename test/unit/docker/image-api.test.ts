import { DockerodeClient } from '../../../src/docker/dockerode-client';
import { EngineServer, reply } from '../../fakes/engine-server';

describe('inspectImage', () => {
  let engine: EngineServer;
  let client: DockerodeClient;
  beforeEach(async () => {
    engine = await EngineServer.start();
    client = new DockerodeClient({ endpoint: engine.endpoint, requestTimeoutMs: 30_000 });
  });
  afterEach(() => engine.close());

  const pathAfter = async (version: object): Promise<string> => {
    engine.answers(reply(200, JSON.stringify(version)), reply(200, '{}'));
    await client.version();
    await client.inspectImage('a/b:1');
    return (await engine.exchange(engine.exchanges.length - 1)).path;
  };
  const UNVERSIONED = '/images/a/b%3A1/json';

  it.each([
    ['does not look for signatures', { ApiVersion: '1.52', MinAPIVersion: '1.44' }, UNVERSIONED],
    ['would look for signatures', { ApiVersion: '1.53', MinAPIVersion: '1.44' }, `/v1.52${UNVERSIONED}`],
    [
      'supports only one version that does not look for signatures',
      { ApiVersion: '1.56', MinAPIVersion: '1.52' },
      `/v1.52${UNVERSIONED}`,
    ],
    [
      'supports only versions that look for signatures',
      { ApiVersion: '1.60', MinAPIVersion: '1.53' },
      UNVERSIONED,
    ],
    ['does not report its API versions', {}, UNVERSIONED],
  ])(
    'avoids the search for signatures, if it can be avoided, in an Engine that %s',
    async (_, version, path) => {
      expect(await pathAfter(version)).toBe(path);
    },
  );

  it('uses the API version of the Engine that answered last', async () => {
    expect(await pathAfter({ ApiVersion: '1.56', MinAPIVersion: '1.40' })).toBe(`/v1.52${UNVERSIONED}`);
    expect(await pathAfter({ ApiVersion: '1.51', MinAPIVersion: '1.24' })).toBe(UNVERSIONED);
  });
});
