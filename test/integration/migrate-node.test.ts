import { readFile } from 'node:fs/promises';
import { compareEffects, type EffectRow } from '../../src/harness/effects/compare-effects';
import type { SeenRuntime } from '../../src/harness/effects/effect';
import { KNOWN } from '../../src/harness/effects/known';
import type { InventoryReport } from '../../src/migrate/inventory/report';
import type { CriClient } from '../../src/server/client/cri-client';
import { CGROUP_VERSION } from './support/cgroups';
import { engineCall, loadTestImages, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { tarOf } from './support/images';
import { MigrateNode, NEW_ENDPOINT, OLD_ENDPOINT, REGISTRY, type Ran } from './support/migrate-node';
import { LOCAL_IMAGE, LOCAL_USER_IMAGE, PodsOnNode, REGISTRY_IMAGE } from './support/migrate-pods';

const PATIENCE_MS = 300_000;
const PLAN = '/var/backups/plan';
/** Only in the registry, which serves it as a mirror of Docker Hub, too. */
const MIRRORED_SOURCE = `${REGISTRY}/library/mirrored:1`;
const MIRRORED = 'docker.io/library/mirrored:1';

const DAEMON_JSON = JSON.stringify({
  'exec-opts': ['native.cgroupdriver=cgroupfs'],
  'registry-mirrors': [`http://${REGISTRY}`],
  'insecure-registries': [REGISTRY],
  'default-ulimits': {
    nofile: { Name: 'nofile', Soft: 4096, Hard: 8192 },
    core: { Name: 'core', Soft: 0, Hard: 0 },
  },
  'log-opts': { 'max-size': '10m', 'max-file': '3' },
});

/** What the inventory of this node finds, whatever the texts are. */
const GOLDEN = [
  ...['change cni-plugins', 'change containerd-cri-off', 'change crictl-conf', 'change kubelet-endpoint'],
  ...['change local-image', 'change pause-image', 'change sysctl'],
  ...['change setting-default-ulimits', 'change setting-exec-opts', 'change setting-insecure-registries'],
  ...[
    'change setting-log-opts.max-file',
    'change setting-log-opts.max-size',
    'change setting-registry-mirrors',
  ],
  ...['ok cgroup', 'ok disk', 'ok foreign', 'ok hostport', 'ok setting-hosts'],
  ...['review host-scripts', 'review iptables', 'review kubelet-annotation', 'review setting-group'],
];
/** The same about the Engine's containerd. */
const GOLDEN_OF = {
  shared: ['review containerd-shared', 'review kubelet-sockets', 'ok setting-containerd'],
  own: ['ok containerd-shared'],
};

/** runc 1.1 sets this limit for most commands run by exec, and not for all (src/harness/effects/known/runc.ts). */
const UNSTEADY = 'exec.limit open files';
/** What must be equal on both runtimes, without any explanation. */
const STRICT =
  /^(exec\.)?(uid|gid|groups|capabilities\..*|limit .*|seccomp|no_new_privs)$|^resolv\.conf |^log /;

/** Some of these, so that the comparison cannot pass because it reads nothing. */
const COMPARED = [
  ...['uid', 'gid', 'groups', 'capabilities.effective', 'capabilities.bounding', 'seccomp', 'no_new_privs'],
  ...['limit open files', 'limit core file size', 'exec.limit core file size', 'resolv.conf nameserver'],
  ...['resolv.conf search', 'resolv.conf options', 'log stdout 3', 'log stdout 5', 'log stderr 2'],
];

let node: MigrateNode;
let clients: CriClient[];
/** The node's configuration, its units and its pods before everything. */
let configuration: Readonly<Record<string, string>>;
let units: readonly string[];
let before: SeenRuntime;
let pods: PodsOnNode;

function client(socket: string): CriClient {
  const one = node.client(socket);
  clients.push(one);
  return one;
}

/** Makes images that exist only on the node, one that the registry has too, and one that only the registry has. */
async function prepareImages(): Promise<void> {
  const call = (method: 'POST' | 'DELETE', path: string, body = {}): Promise<unknown> =>
    engineCall(node.dockerHost, method, path, body);
  const named = (name: string): string => {
    const at = name.lastIndexOf(':');
    return `repo=${encodeURIComponent(name.slice(0, at))}&tag=${name.slice(at + 1)}`;
  };
  await call('POST', `/images/${TEST_IMAGE}/tag?${named(LOCAL_IMAGE)}`);
  await call('POST', `/images/${USER_IMAGE}/tag?${named(LOCAL_USER_IMAGE)}`);
  const json = { Image: TEST_IMAGE, Cmd: ['true'] };
  const { Id } = (await call('POST', '/containers/create', { json })) as { Id: string };
  await call('POST', `/commit?container=${Id}&${named(REGISTRY_IMAGE)}`, { json: {} });
  await call('DELETE', `/containers/${Id}`);
  await call('POST', `/images/create?fromSrc=-&${named(MIRRORED_SOURCE)}`, { tar: await tarOf('mirrored') });
  const headers = { 'X-Registry-Auth': Buffer.from('{}').toString('base64') };
  for (const name of [REGISTRY_IMAGE, MIRRORED_SOURCE])
    await call('POST', `/images/${name.slice(0, name.lastIndexOf(':'))}/push?tag=1`, { headers });
  await call('DELETE', `/images/${MIRRORED_SOURCE}`);
}

/** Runs `dockbridge migrate …`, which must end with this code. */
async function migrate(code: number, ...args: readonly string[]): Promise<Ran> {
  const ran = await node.dockbridge('migrate', ...args);
  if (ran.code !== code)
    throw new Error(
      `migrate ${args.join(' ')} exits ${ran.code ?? 'by a signal'}:\n${ran.stdout}\n${ran.stderr}\n${await node.logs()}`,
    );
  return ran;
}

const systemctl = () => ['--systemctl', node.systemctlProgram];

/** Compares what containers have. Nothing may differ without a reason, and what STRICT names may not differ at all. */
function expectSame(a: SeenRuntime, b: SeenRuntime): void {
  const { rows, containers } = compareEffects(a, b, KNOWN);
  const text = ({ effect, a: left, b: right, containers: places }: EffectRow): string =>
    `${effect} in ${places.join(', ')}: ${left ?? '-'} | ${right ?? '-'}`;
  const unequal = rows.filter(
    ({ effect, verdict }) =>
      verdict === 'differs' || (verdict !== 'same' && STRICT.test(effect) && effect !== UNSTEADY),
  );
  expect(unequal.map(text)).toEqual([]);
  const equal = rows.filter(({ verdict }) => verdict === 'same').map(({ effect }) => effect);
  expect(equal).toEqual(expect.arrayContaining(COMPARED));
  expect(containers).toHaveLength(13);
}

async function expectMoved(): Promise<void> {
  expect(await node.units()).toEqual([
    'containerd.service active enabled',
    ...['docker.socket', 'docker.service', 'dockbridge.service'].map((unit) => `${unit} inactive disabled`),
    'kubelet.service active enabled',
  ]);
  const kubelet = await readFile(node.place('/var/lib/kubelet/config.yaml'), 'utf8');
  expect(kubelet).toContain(`containerRuntimeEndpoint: unix://${NEW_ENDPOINT}`);
  expect(kubelet).toContain('# stays in this line');
}

describe.each([
  ["the node's containerd", true],
  ['a containerd of its own', false],
])('dockbridge migrate on a node whose Engine runs on %s', (_, isContainerdShared) => {
  beforeAll(async () => {
    node = await MigrateNode.start({ daemonJson: DAEMON_JSON, isContainerdShared });
    clients = [];
    await loadTestImages(node.dockerHost);
    await prepareImages();
    expect(await node.traces()).toEqual([]);
    pods = await PodsOnNode.start(node, client(OLD_ENDPOINT));
    before = await pods.seen('dockbridge');
    configuration = await node.configuration();
    units = await node.units();
  }, PATIENCE_MS);

  afterAll(async () => {
    for (const one of clients) one.close();
    await node.stop();
  }, PATIENCE_MS);

  it('the inventory of the node has these findings', async () => {
    const { stdout } = await migrate(2, 'inventory', '-o', 'json');
    const { findings, node: facts } = JSON.parse(stdout) as InventoryReport;
    const found = [...new Set(findings.map(({ severity, id }) => `${severity} ${id}`))].sort();
    const ofContainerd = GOLDEN_OF[isContainerdShared ? 'shared' : 'own'];
    expect(found).toEqual(
      [...GOLDEN, ...ofContainerd, ...(CGROUP_VERSION === 1 ? ['review cgroup-v1'] : [])].sort(),
    );
    expect(facts).toMatchObject({ hostname: 'node-7', pods: 10, containers: 13, foreign: 0 });
  });

  it('the pods have what the settings of the Engine give', async () => {
    const effects = before.containers.find(({ container }) => container === 'plain/first')?.effects;
    expect(effects?.get('limit open files')).toBe('soft 4096 hard 8192');
    expect(await pods.page()).toBe('ok\n');
    expect((await node.traces()).length).toBeGreaterThan(30);
  });

  it(
    'moves the node to containerd, where the same pods find the same',
    async () => {
      await migrate(0, 'plan', '--to', 'containerd', '--out', PLAN);
      const drain = await migrate(4, 'apply', '--plan', PLAN, ...systemctl());
      expect(drain.stdout).toContain('kubectl drain node-7');
      expect(await node.systemctl('is-active', 'docker.service')).toBe('active\n');
      await migrate(0, 'apply', '--plan', PLAN, '--drained', ...systemctl());
      expect(await node.traces()).toEqual([]);
      await expectMoved();
      pods = await PodsOnNode.start(node, client(NEW_ENDPOINT));
      expectSame(before, await pods.seen('containerd'));
      expect(await pods.page()).toBe('ok\n');
    },
    PATIENCE_MS,
  );

  it('pulls from the insecure registry and through the mirror on containerd', async () => {
    const containerd = client(NEW_ENDPOINT);
    for (const image of [MIRRORED_SOURCE, MIRRORED]) {
      const { image_ref } = await containerd.call('PullImage', { image: { image } }, 60_000);
      expect(image_ref).toMatch(/sha256:/);
    }
  });

  it(
    'goes back to dockbridge, where everything is as before',
    async () => {
      await migrate(0, 'rollback', '--plan', PLAN, ...systemctl());
      expect(await node.traces()).toEqual([]);
      expect(await node.configuration()).toEqual(configuration);
      expect(await node.units()).toEqual(units);
      pods = await PodsOnNode.start(node, client(OLD_ENDPOINT));
      const { rows } = compareEffects(before, await pods.seen('dockbridge'), []);
      expect(rows.filter(({ effect, verdict }) => verdict !== 'same' && effect !== UNSTEADY)).toEqual([]);
      expect(await pods.page()).toBe('ok\n');
    },
    PATIENCE_MS,
  );

  // The way forward is the same on both nodes; the way back is not.
  if (!isContainerdShared) return;

  it(
    'moves forward again with the same plan, and leaves nothing',
    async () => {
      await migrate(0, 'apply', '--plan', PLAN, '--drained', ...systemctl());
      expect(await node.traces()).toEqual([]);
      await expectMoved();
      pods = await PodsOnNode.start(node, client(NEW_ENDPOINT));
      expectSame(before, await pods.seen('containerd'));
      await pods.remove();
      expect(await node.traces()).toEqual([]);
    },
    PATIENCE_MS,
  );
});
