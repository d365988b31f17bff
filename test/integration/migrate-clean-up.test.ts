import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makePlan } from '../../src/migrate/plan/plan';
import { nodeFacts } from '../unit/migrate/plan/node-facts';
import { ContainerdNode } from './support/containerd-node';
import { tarOf } from './support/images';

const run = promisify(execFile);
const OCI = 'application/vnd.oci.image';

let node: ContainerdNode;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'clean-up-'));
  node = await ContainerdNode.start({ cri: false });
}, 180_000);

afterAll(async () => {
  await node.stop();
  await rm(scratch, { recursive: true, force: true });
}, 60_000);

/** Runs a line of the plan as a person does. */
async function shell(line: string): Promise<string> {
  const env = { ...process.env, PATH: node.path, CONTAINERD_ADDRESS: node.socket };
  return (await run('bash', ['-c', line], { env })).stdout.trim();
}

const list = async (line: string): Promise<string[]> => (await shell(line)).split('\n').filter(Boolean);

interface Archive {
  readonly path: string;
  /** The digests of the layer, the configuration and the manifest. */
  readonly digests: readonly string[];
}

/** Makes an archive of an image with one layer of random bytes. */
async function archive(name: string): Promise<Archive> {
  const directory = join(scratch, name);
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
  const blob = async (content: Buffer | object, mediaType: string) => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const hash = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(directory, 'blobs/sha256', hash), bytes);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  };
  const layer = await blob(await tarOf(randomBytes(100_000)), `${OCI}.layer.v1.tar`);
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const config = await blob(
    { architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [layer.digest] } },
    `${OCI}.config.v1+json`,
  );
  const manifest = await blob(
    { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers: [layer] },
    `${OCI}.manifest.v1+json`,
  );
  const annotations = { 'io.containerd.image.name': `docker.io/library/${name}:1` };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(directory, 'index.json'), JSON.stringify(index));
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion": "1.0.0"}');
  await run('tar', ['-C', directory, '-cf', `${directory}.tar`, '.']);
  return {
    path: `${directory}.tar`,
    digests: [layer, config, manifest].map(({ digest }) => digest).sort(),
  };
}

/** The commands of the step clean-up for an Engine that keeps its images in the node's containerd. */
function commands(): string[] {
  const engine = nodeFacts().engine!;
  const info = { ...engine.info, DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']] } as never;
  const { steps } = makePlan({
    facts: nodeFacts({
      directories: { '/run/docker/containerd': [] },
      facts: { engine: { ...engine, info } },
    }),
    findings: [],
    target: 'containerd',
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
  });
  return steps.at(-1)!.commands.filter((line) => line.includes('ctr '));
}

it("gives back the room of the Engine's images, and leaves those of the kubelet", async () => {
  const [both, dockers] = [await archive('both'), await archive('dockers')];
  for (const { path } of [both, dockers]) await shell(`ctr -n moby images import --no-unpack ${path}`);
  await shell('ctr -n moby images tag docker.io/library/dockers:1 docker.io/library/again:1');
  await shell('ctr -n moby leases create --id kept');
  await shell(`ctr -n k8s.io images import --no-unpack ${both.path}`);
  expect(await list('ctr -n moby images ls -q')).toHaveLength(3);

  for (const line of commands()) await shell(line);

  expect(await list('ctr namespaces ls -q')).toEqual(['k8s.io']);
  expect(await list('ctr -n k8s.io images ls -q')).toEqual(['docker.io/library/both:1']);
  const names = await list(`ls ${node.directory}/root/io.containerd.content.v1.content/blobs/sha256`);
  const blobs = names.map((hash) => `sha256:${hash}`);
  // containerd may keep the index of an archive, too, until it collects garbage.
  expect(blobs).toEqual(expect.arrayContaining([...both.digests]));
  expect(blobs.filter((digest) => dockers.digests.includes(digest))).toEqual([]);
  // A second run has nothing to do.
  for (const line of commands()) await shell(line);
}, 120_000);
