// What CNI adds to RunPodSandbox: prints, per pod, the call, the Engine's share and the plugins' own run time.
// Needs root, `make build`, containernetworking-plugins and an Engine: scripts/engine.sh with node scripts/bench-cni.mjs
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const PODS = Number(process.env.PODS ?? 30);
const require = createRequire(import.meta.url);
const { Daemon } = require('../dist/daemon.js');
const { resolveSettings } = require('../dist/config/options.js');
const { silentLogger } = require('../dist/lib/logger.js');
const { CriClient } = require('../dist/server/client/cri-client.js');

const directory = await mkdtemp(join(tmpdir(), 'dockbridge-bench-'));
const at = (...names) => join(directory, ...names);
await mkdir(at('net.d'));
const ipam = { type: 'host-local', dataDir: at('leases'), ranges: [[{ subnet: '10.92.0.0/16' }]] };
const network = {
  cniVersion: '1.0.0',
  name: 'bench',
  plugins: [
    { type: 'bridge', bridge: 'cni-bench0', isGateway: true, ipam },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};
await writeFile(at('net.d', '10-bench.conflist'), JSON.stringify(network));

async function measure(plugin) {
  let [engineMs, pluginMs] = [0, 0];
  const given = {
    'container-runtime-endpoint': `unix://${at('cri.sock')}`,
    'docker-endpoint': process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock',
    'state-dir': at('state'),
    'run-dir': at('run'),
    'pod-infra-container-image': 'dockbridge.local/pause:1',
    'network-plugin': plugin,
    'cni-conf-dir': at('net.d'),
    'cni-bin-dir': '/usr/lib/cni',
    'cni-cache-dir': at('cache'),
  };
  const daemon = await Daemon.create(resolveSettings(given, {}), silentLogger, {
    onEngineCall: ({ seconds }) => (engineMs += seconds * 1000),
    onPluginRun: ({ seconds }) => (pluginMs += seconds * 1000),
  });
  await daemon.start();
  await daemon.whenSynced();
  const client = new CriClient(`unix://${at('cri.sock')}`);
  const rows = [];
  for (let number = -3; number < PODS; number++) {
    [engineMs, pluginMs] = [0, 0];
    const name = `bench-${process.pid}-${number}`;
    const config = {
      metadata: { name, uid: name, namespace: 'bench', attempt: 0 },
      hostname: 'bench',
      linux: {},
    };
    const started = performance.now();
    const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
    const total = performance.now() - started;
    // The first few warm up.
    const rest = total - engineMs - pluginMs;
    if (number >= 0) rows.push({ total, engine: engineMs, plugins: pluginMs, rest });
    await client.call('RemovePodSandbox', { pod_sandbox_id });
  }
  client.close();
  await daemon.stop();
  const median = (key) => {
    const sorted = rows.map((row) => row[key]).sort((a, b) => a - b);
    return sorted[PODS >> 1].toFixed(1);
  };
  console.log(
    `${plugin.padEnd(6)} RunPodSandbox p50 ${median('total')} ms = Engine ${median('engine')} + plugins ${median('plugins')} + ours ${median('rest')}`,
  );
}

try {
  await measure('no-op');
  await measure('cni');
} finally {
  spawnSync('ip', ['link', 'delete', 'cni-bench0']);
  await rm(directory, { recursive: true, force: true });
}
