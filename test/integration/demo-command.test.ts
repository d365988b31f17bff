import { demo } from '../../src/cli/demo';
import { TestDaemon } from './support/daemon';
import { sharedDockerHost, TEST_IMAGE } from './support/engine';

describe('dockbridge demo', () => {
  let test: TestDaemon;
  let told: string;
  beforeAll(async () => {
    test = await TestDaemon.start();
    // The demo asks for the version first, which waits for two seconds only.
    await test.synced();
  });
  afterAll(() => test.stop());
  beforeEach(() => {
    told = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      told += String(text);
      return true;
    });
  });
  afterEach(() => jest.restoreAllMocks());

  it('runs a pod through a running bridge, tells what it did, and leaves nothing', async () => {
    await demo({ endpoint: test.endpoint, dockerEndpoint: sharedDockerHost(), image: TEST_IMAGE });
    expect(told).toMatch(/Pod {7}\w{12} {2}ready, IP [\d.]+/);
    expect(told).toMatch(/stdout F one job, done\n/);
    expect(told).toMatch(/Exec {6}exit 0: exec in demo: Linux/);
    const { items } = await test.client.call('ListPodSandbox', {});
    expect(items).toEqual([]);
  });
});
