import type { Given } from '../../src/config/options';
import { CniNode } from '../integration/support/cni-node';
import { TestDaemon } from '../integration/support/daemon';
import { podConfig, runPod } from '../integration/support/pods';
import { median, print, timed } from './measure';

const PODS = 40;
const WARM_UP = 3;

/** The parts of one RunPodSandbox's time, in ms. */
interface Shares {
  readonly total: number;
  readonly engine: number;
  readonly plugins: number;
  readonly ours: number;
}

/** Measures what CNI adds to RunPodSandbox, apart from the Engine's share and the plugins' own run time. */
describe('RunPodSandbox', () => {
  let node: CniNode;
  beforeAll(async () => {
    node = await CniNode.create();
    await node.configure(node.network(['10.92.0.0/16']));
  });
  afterAll(() => node.destroy());

  async function measure(given: Given): Promise<Shares> {
    let pluginMs = 0;
    const test = await TestDaemon.start({
      given,
      onPluginRun: ({ seconds }) => (pluginMs += seconds * 1000),
    });
    const rows: Shares[] = [];
    try {
      for (let number = -WARM_UP; number < PODS; number++) {
        pluginMs = 0;
        test.engineCalls.length = 0;
        let id = '';
        const total = await timed(async () => (id = await runPod(test, podConfig(test))));
        const engine = test.engineCalls.reduce((sum, { seconds }) => sum + seconds * 1000, 0);
        if (number >= 0) rows.push({ total, engine, plugins: pluginMs, ours: total - engine - pluginMs });
        await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
      }
    } finally {
      await test.stop();
    }
    const of = (share: keyof Shares): number => median(rows.map((row) => row[share]));
    return { total: of('total'), engine: of('engine'), plugins: of('plugins'), ours: of('ours') };
  }

  it('spends its time in the Engine, in plugins and in dockbridge, with CNI and without', async () => {
    const without = await measure({ 'network-plugin': 'no-op' });
    const withCni = await measure(node.options);
    for (const [name, { total, engine, plugins, ours }] of Object.entries({
      'no-op': without,
      cni: withCni,
    })) {
      print(
        `${name.padEnd(5)} RunPodSandbox p50 ${total.toFixed(1)} ms = Engine ${engine.toFixed(1)} + plugins ${plugins.toFixed(1)} + ours ${ours.toFixed(1)}`,
      );
    }
    expect(withCni.plugins).toBeGreaterThan(0);
    expect(without.plugins).toBe(0);
  }, 300_000);
});
