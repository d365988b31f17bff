import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faultLine } from '../../../src/config/fault';
import { readConfigText } from '../../../src/config/config-yaml';
import { resolveSettings, type Given } from '../../../src/config/options';
import { faultsInUse } from '../../../src/config/use';
import { selfSigned } from '../support/certificate';

let directory: string;
beforeAll(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-use-'))));
afterAll(() => rm(directory, { recursive: true }));

async function faults(given: Given, environment: Record<string, string> = {}, file = ''): Promise<string[]> {
  const { values } = readConfigText('/c.yaml', file);
  const settings = resolveSettings(given, environment, values);
  return (await faultsInUse(settings, given, environment, values)).map(faultLine);
}

describe('unusable values of the right kind', () => {
  it('do not occur among the defaults, with or without a certificate', async () => {
    const { certFile, keyFile } = await selfSigned(directory);
    expect(await faults({})).toEqual([]);
    expect(await faults({ 'container-runtime-endpoint': 'fd://' })).toEqual([]);
    expect(
      await faults({ 'streaming-tls-cert-file': certFile, 'streaming-tls-private-key-file': keyFile }),
    ).toEqual([]);
  });

  it('are reported with their place', async () => {
    expect(await faults({ 'network-plugin': 'calico' })).toEqual([
      expect.stringMatching(/^--network-plugin: "calico" is none of auto/),
    ]);
    expect(await faults({}, { DOCKBRIDGE_NETWORK_PLUGIN: 'calico' })).toEqual([
      expect.stringMatching(/^DOCKBRIDGE_NETWORK_PLUGIN: "calico" is none of auto/),
    ]);
    expect(await faults({}, {}, '\nnetwork-plugin: calico\n')).toEqual([
      expect.stringMatching(/^\/c\.yaml:2: network-plugin: "calico" is none of auto/),
    ]);
  });

  it.each([
    ['container-runtime-endpoint', 'tcp://0.0.0.0:1', /is refused/],
    ['docker-endpoint', 'http://x', /is neither unix/],
    ['pod-infra-container-image', 'A B', /A B/],
    ['streaming-tls-cert-file', '/none.crt', /needs --streaming-tls-private-key-file too, and vice versa/],
  ])('of --%s are found', async (name, value, why) => {
    const [fault, ...more] = await faults({ [name]: value });
    expect(fault).toMatch(why);
    expect(fault).toMatch(new RegExp(`^--${name}: `));
    expect(more).toEqual([]);
  });

  it('are all reported', async () =>
    expect(await faults({ 'network-plugin': 'x', 'docker-endpoint': 'x' })).toHaveLength(2));
});
