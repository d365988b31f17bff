import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { NodeNetwork } from '../../../src/network/cni/node-network';
import { until } from '../support/async';
import { setClockBack } from '../support/clock';

/** Older than a plugin's STATUS may be. */
const LATER_MS = 6_000;

let root: string;
let network: NodeNetwork;
let status: () => Promise<void>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dockbridge-node-'));
  await Promise.all(['net.d', 'bin'].map((name) => mkdir(join(root, name))));
  const config = { cniVersion: '1.1.0', name: 'net', plugins: [{ type: 'one' }] };
  await writeFile(join(root, 'net.d/10-net.conflist'), JSON.stringify(config));
  status = () => Promise.resolve();
  network = new NodeNetwork({
    confDir: join(root, 'net.d'),
    binDirs: [join(root, 'bin')],
    chain: { validate: () => Promise.resolve(), status: () => status() },
    logger: silentLogger,
  });
  await network.start();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await network.close();
  await rm(root, { recursive: true });
});

it('hears what plugins have to say now, also when the clock was set back by hours', async () => {
  expect(network.condition().ready).toBe(true);
  status = () => Promise.reject(new Error('no leader'));
  setClockBack();
  const real = performance.now.bind(performance);
  jest.spyOn(performance, 'now').mockImplementation(() => real() + LATER_MS);
  await until(() => !network.condition().ready, 'the word of the plugin');
  expect(network.condition().message).toBe('no leader');
});
