// benchmark.mjs DIR: prints the times that critest measured (-benchmarking-output-dir DIR) next to the times of
// the bare Engine at DOCKER_HOST for the same calls, in ms: median and slowest.
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const [directory] = process.argv.slice(2);
const socketPath = process.env.DOCKER_HOST.replace('unix://', '');
const IMAGE = 'registry.k8s.io/e2e-test-images/busybox:1.29-2';

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json' };
    const asked = request({ socketPath, method, path, headers }, (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      reply.on('end', () =>
        reply.statusCode < 400
          ? resolve(text && JSON.parse(text))
          : reject(new Error(`${method} ${path}: ${text}`)),
      );
    });
    asked.on('error', reject).end(body && JSON.stringify(body));
  });
}

function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const shown = (value) => value.toFixed(1).padStart(9);
  return `${shown(sorted[Math.floor(sorted.length / 2)])}${shown(sorted.at(-1))}`;
}

/** Measures the Engine's calls in one container's life, by the RPC that makes each of them. */
async function bareCycle(times) {
  const timed = async (name, work) => {
    const began = performance.now();
    const result = await work();
    (times[name] ??= []).push(performance.now() - began);
    return result;
  };
  // The process is not PID 1, which would ignore SIGTERM, as in critest's pods.
  const body = { Image: IMAGE, Cmd: ['top'], HostConfig: { NetworkMode: 'none', PidMode: 'host' } };
  const { Id } = await timed('CreateContainer', () => call('POST', '/containers/create', body));
  await timed('StartContainer', () => call('POST', `/containers/${Id}/start`));
  await timed('StatusContainer', () => call('GET', `/containers/${Id}/json`));
  await timed('StopContainer', () => call('POST', `/containers/${Id}/stop?t=60`));
  await timed('RemoveContainer', () => call('DELETE', `/containers/${Id}`));
}

const bare = {};
for (let round = 0; round < 20; round++) await bareCycle(bare);

console.log(`${'ms'.padEnd(24)}   median  slowest   bare: median  slowest`);
for (const file of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
  const { operationsNames, datapoints } = JSON.parse(readFileSync(join(directory, file), 'utf8'));
  operationsNames.forEach((name, index) => {
    const values = datapoints.map(({ operationsDurationsNs }) => operationsDurationsNs[index] / 1e6);
    if (values.length > 0) {
      console.log(`${name.padEnd(24)}${summary(values)}${bare[name] ? `     ${summary(bare[name])}` : ''}`);
    }
  });
}
