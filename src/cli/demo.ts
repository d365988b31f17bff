import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveSettings } from '../config/options';
import { Daemon } from '../daemon';
import { DockerodeClient } from '../docker/dockerode-client';
import { counted } from '../lib/counted';
import { failedPrecondition } from '../lib/errors';
import { standardError } from '../lib/log-output';
import { createLineLogger } from '../lib/line-logger';
import { CriClient } from '../server/client/cri-client';
import { TYPE_LABEL } from '../translate/shared/labels';
import { runDemoPod } from './demo-pod';

export interface DemoOptions {
  readonly endpoint?: string;
  readonly dockerEndpoint: string;
  readonly image: string;
  /** The directory for the pod's logs. The demo does not remove it. */
  readonly logDirectory?: string;
}

/** Implements `dockbridge demo`, which runs one pod from creation to removal and prints the duration of each step. */
export async function demo(options: DemoOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-demo-'));
  try {
    if (options.endpoint === undefined) await withTemporary(options, directory);
    else await runAt(options.endpoint, options, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runAt(endpoint: string, options: DemoOptions, directory: string): Promise<void> {
  const { image, logDirectory = join(directory, 'logs') } = options;
  const client = new CriClient(endpoint);
  try {
    const times = await runDemoPod(client, { image, logDirectory, print });
    print('\nTime per step');
    for (const [name, ms] of times) print(`  ${name.padEnd(26)}${ms.toFixed(0).padStart(6)} ms`);
  } finally {
    client.close();
  }
}

async function withTemporary(options: DemoOptions, directory: string): Promise<void> {
  const { dockerEndpoint } = options;
  // A second dockbridge would write the logs of these pods twice.
  const engine = new DockerodeClient({ endpoint: dockerEndpoint, requestTimeoutMs: 10_000 });
  const pods = await engine.listContainers({ label: [TYPE_LABEL] });
  if (pods.length > 0) {
    throw failedPrecondition(
      `${dockerEndpoint} runs pods already (${counted(pods.length, 'container')}); run the demo through the runtime that serves them: --endpoint unix:///…`,
    );
  }
  const given = {
    'container-runtime-endpoint': `unix://${join(directory, 'cri.sock')}`,
    'docker-endpoint': dockerEndpoint,
    'state-dir': join(directory, 'state'),
    'run-dir': join(directory, 'run'),
    'cni-cache-dir': join(directory, 'cni'),
    'cri-dockerd-root-directory': join(directory, 'cri-dockerd'),
    'dockershim-root-directory': join(directory, 'dockershim'),
    'network-plugin': 'no-op',
  };
  const daemon = await Daemon.create(resolveSettings(given, {}), createLineLogger('error', standardError()));
  try {
    await runAt(await daemon.start(), options, directory);
  } finally {
    // The stop is also needed after a failed start, because the daemon's threads would keep this process alive.
    await daemon.stop();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
