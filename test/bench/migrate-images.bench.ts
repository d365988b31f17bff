import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { Command } from '../integration/support/command';
import { ContainerdNode } from '../integration/support/containerd-node';
import {
  sharedDockerHost,
  startPrivateEngine,
  type PrivateEngineOptions,
} from '../integration/support/engine';
import { median, print, timed } from './measure';

const run = promisify(execFile);
const MB = 1_000_000;
/** The sizes of the images in MB. Twenty images of 10 to 500 MB have 2.6 GB, which takes a small machine a long time. */
const SIZES = (process.env.BENCH_IMAGES_MB ?? '10,20,40,80,160,320').split(',').map(Number);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? '2');
const TOTAL = SIZES.reduce((sum, size) => sum + size, 0);
const PATIENCE_MS = 1_800_000;
const ENGINE = process.env.DOCKBRIDGE_TEST_ENGINE ?? '';
const HAS_CONTAINERD_STORE = ENGINE === '29' || ENGINE.endsWith('-containerd');
const nameOf = (size: number): string => `bench.test/image-${size}:1`;

/** Imports images of random bytes, which no compression makes smaller. */
async function makeImages(dockerHost: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-bench-'));
  try {
    for (const size of SIZES) {
      await pipeline(randomOf(size), createWriteStream(join(directory, 'data')));
      const url = `http://engine/images/create?fromSrc=-&repo=bench.test/image-${size}&tag=1`;
      const upload =
        'tar -C "$1" -c data | curl -fsS --unix-socket "$2" -X POST -T - -H "Content-Type: application/x-tar" "$3"';
      await run('bash', [
        '-euo',
        'pipefail',
        '-c',
        upload,
        'bash',
        directory,
        new URL(dockerHost).pathname,
        url,
      ]);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}

function* randomOf(size: number): Generator<Buffer> {
  for (let at = 0; at < size; at++) yield randomBytes(MB);
}

async function removeImages(dockerHost: string): Promise<void> {
  for (const size of SIZES) {
    const url = `http://engine/images/${nameOf(size)}?force=1`;
    await run('curl', ['-fsS', '--unix-socket', new URL(dockerHost).pathname, '-X', 'DELETE', url]);
  }
}

/** `docker save IMAGE | ctr images import` for one image after the other, as a person would write it. */
async function byHand(node: ContainerdNode, dockerHost: string): Promise<void> {
  const socket = new URL(dockerHost).pathname;
  const script =
    'curl -fsS --unix-socket "$1" "http://engine/images/$3/get" | ctr --address "$2" --namespace k8s.io images import --no-unpack -';
  for (const size of SIZES)
    await run('bash', ['-euo', 'pipefail', '-c', script, 'bash', socket, node.socket, nameOf(size)], {
      env: { ...process.env, PATH: node.path },
    });
}

async function migrated(node: ContainerdNode, dockerHost: string): Promise<string> {
  const command = new Command([
    'migrate',
    'images',
    '--all',
    '--to',
    node.endpoint,
    '--docker-endpoint',
    dockerHost,
  ]);
  expect([await command.exit(), command.stderr]).toEqual([0, expect.anything()]);
  return command.stdout;
}

async function blobBytes(node: ContainerdNode): Promise<number> {
  const blobs = join(node.directory, 'root/io.containerd.content.v1.content/blobs/sha256');
  const sizes = (await readdir(blobs)).map(async (name) => (await stat(join(blobs, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function inNode<T>(work: (node: ContainerdNode) => Promise<T>): Promise<T> {
  const node = await ContainerdNode.start();
  try {
    return await work(node);
  } finally {
    await node.stop();
  }
}

it(
  'migrate images is hardly slower than `docker save | ctr images import`',
  async () => {
    const dockerHost = sharedDockerHost();
    await makeImages(dockerHost);
    const ms = { ours: 0, byHand: 0 };
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const ours = async (): Promise<void> => {
          ms.ours += await inNode((node) => timed(() => migrated(node, dockerHost)));
        };
        const theirs = async (): Promise<void> => {
          ms.byHand += await inNode((node) => timed(() => byHand(node, dockerHost)));
        };
        for (const one of round % 2 === 0 ? [theirs, ours] : [ours, theirs]) await one();
      }
    } finally {
      await removeImages(dockerHost);
    }
    const rate = (time: number): string => `${((TOTAL * ROUNDS * 1000) / time).toFixed(0)} MB/s`;
    const ratio = ms.byHand / ms.ours;
    print(
      `${SIZES.length} images of ${TOTAL} MB, ${ROUNDS} rounds: migrate images ${rate(ms.ours)}, docker save | ctr import ${rate(ms.byHand)}, ratio ${ratio.toFixed(2)}`,
    );
    expect(ratio).toBeGreaterThanOrEqual(0.8);
  },
  PATIENCE_MS,
);

(HAS_CONTAINERD_STORE ? it : it.skip)(
  'migrate images shares the images in the same containerd',
  async () => {
    await inNode(async (node) => {
      const options: PrivateEngineOptions = { dockerd: ['--containerd', node.socket] };
      const engine = await startPrivateEngine('bench-migrate', options);
      try {
        await makeImages(engine.dockerHost);
        const before = await blobBytes(node);
        let stdout = '';
        const ms = await timed(async () => (stdout = await migrated(node, engine.dockerHost)));
        const times = [...stdout.matchAll(/shared, no bytes move {2}0 B in (\S+) s$/gm)].map(([, s]) =>
          Number(s),
        );
        const moved = (await blobBytes(node)) - before;
        print(
          `${SIZES.length} images of ${TOTAL} MB in the same containerd: ${moved} of ${before} bytes moved, ${(ms / 1000).toFixed(1)} s for all, median ${median(times)} s and at most ${Math.max(...times)} s for one`,
        );
        expect(times.length).toBeGreaterThanOrEqual(SIZES.length);
        expect(moved).toBeLessThan(before / 100);
        // The slowest one may have waited for whatever else the machine does.
        expect(median(times)).toBeLessThan(1);
      } finally {
        await engine.destroy();
      }
    });
  },
  PATIENCE_MS,
);
