// Runs the integration tests in two simultaneous halves, each with an Engine, a network and mounts of its
// own. If the halves ran one after the other, a machine of two processors would be idle for much of the
// time. With arguments, which go to jest, everything runs in one process, because a person who chooses tests
// wants to see their output. The first half runs in the present namespaces and the second in namespaces of
// its own, because two Engines in one network namespace flush each other's rules, and because tests check
// all links, rules and mounts at their end. JEST_JSON_DIR is the directory for the results, integration.json
// and integration-2.json.
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const directory = 'test/integration';
/**
 * The seconds that the slow test files take; all others take about ten. These numbers only make the two
 * halves about equally long.
 */
const LONG = {
  'streaming-sessions': 215,
  'migrate-node': 130,
  'container-events': 110,
  'take-over': 105,
  'docker-image': 100,
  'engine-outage': 80,
  'log-rotation': 75,
  'cni-storm': 70,
  doctor: 65,
  'image-trouble': 60,
  'streaming-kubectl': 50,
  'kill-nine': 45,
  'two-daemons': 45,
  package: 45,
  'take-over-logs': 40,
  'cni-lifecycle': 35,
  'serve-command': 35,
  'cri-replay-both': 35,
  'stalled-clients': 35,
  'exec-sync': 35,
  'sandbox-identity': 30,
  'disk-trouble': 30,
  reload: 30,
  'hand-over': 25,
  'narrow-limits': 25,
  'installer-image': 25,
  'many-pods': 25,
  observe: 20,
  'slow-info': 20,
  'sandbox-config': 20,
  'npm-package': 20,
  'cni-pods': 20,
  'hostile-engine': 20,
  'created-again': 20,
};

/**
 * These tests ask the machine's DNS or npm's registry, which another network namespace cannot reach, or
 * make a node in namespaces (test/conformance/node.sh), which cannot be nested in those of the other half.
 */
const HERE = ['image-trouble', 'npm-package', 'demo-command'];

/** This test shares mounts with its containers, which a machine without systemd does not allow. The other half has shared mounts. */
const BESIDE = ['cri-effects'];

/**
 * Tests expect a node with bridges, default routes and /var/lib/cni, so an empty namespace is not enough.
 * The DNS address is one where nobody listens, so lookups fail at once. Lookups through the machine's own
 * DNS would time out.
 */
const NODE = `
  mount --make-rshared /
  mkdir -p /run/netns /var/lib/cni
  mount -t tmpfs tmpfs /var/lib/cni
  ip link set lo up
  ip link add eth0 type bridge
  ip address add 198.51.100.1/24 dev eth0
  ip link set eth0 up
  ip route add default via 198.51.100.254 dev eth0
  resolv=$(mktemp)
  echo 'nameserver 198.51.100.1' >"$resolv"
  [ ! -e /etc/resolv.conf ] || mount --bind "$resolv" /etc/resolv.conf
  rm "$resolv"
  exec "$@"`;
const OWN_NAMESPACES = ['unshare', '--net', '--mount', '--propagation', 'slave', 'bash', '-ec', NODE, 'bash'];

const jest = (args) => [
  process.execPath,
  'node_modules/jest/bin/jest.js',
  ...['--selectProjects', 'integration', '--runInBand'],
  ...args,
];

/** Returns the environment of a run of jest that writes its results to the file `json` (jest.config.js). */
const withResults = (json) =>
  process.env.JEST_JSON_DIR ? { ...env, JEST_RESULTS: join(process.env.JEST_JSON_DIR, json) } : env;

/** Returns jest's arguments for each half. Each test file, longest first, goes to the half that has less to do. */
function halves() {
  const files = readdirSync(directory).filter((file) => file.endsWith('.test.ts'));
  const seconds = (file) => LONG[file.slice(0, -'.test.ts'.length)] ?? 10;
  const both = [
    { files: [], seconds: 0 },
    { files: [], seconds: 0 },
  ];
  for (const file of files.sort((a, b) => seconds(b) - seconds(a) || a.localeCompare(b, 'en'))) {
    const isIn = (names) => names.includes(file.slice(0, -'.test.ts'.length));
    const isHere = isIn(HERE) || (!isIn(BESIDE) && both[0].seconds <= both[1].seconds);
    const half = isHere ? both[0] : both[1];
    half.files.push(join(directory, file));
    half.seconds += seconds(file);
  }
  return both.map(({ files }) => ['--runTestsByPath', ...files]);
}

const env = { ...process.env };
// The tests always start an Engine of their own, because they kill it.
delete env.DOCKBRIDGE_TEST_DOCKER_HOST;

/**
 * These commands download everything that tests need before the tests start, because the second half cannot
 * reach a network.
 */
const { DOCKBRIDGE_TEST_ENGINE: engine } = env;
const FETCHES = [
  ['bash', 'scripts/kubectl.sh'],
  [process.execPath, 'packaging/node.mjs', { x64: 'amd64' }[process.arch] ?? process.arch],
  // The containerd of this Engine reads what `dockbridge migrate plan` writes, and a whole node is moved to it.
  ['bash', 'scripts/engine-version.sh', '28.5'],
  ...(engine ? [['bash', 'scripts/engine-version.sh', engine]] : []),
];

let isEnding = false;
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => (isEnding = true));

/** Returns whether the command failed, and its output. `stdio` is as for spawn. */
async function run([command, ...args], stdio, environment = env) {
  const child = spawn(command, args, { env: environment, stdio });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal));
  const output = [];
  child.stdout?.on('data', (data) => output.push(data));
  child.stderr?.on('data', (data) => output.push(data));
  try {
    const [code, signal] = await once(child, 'close');
    return { failed: code !== 0 || signal !== null, output: Buffer.concat(output) };
  } catch (error) {
    return { failed: true, output: Buffer.from(`${command} cannot be run: ${error.message}\n`) };
  }
}

/** Runs the downloads, and prints those that fail. The tests that need a missing file fail and print the error again. */
async function fetchAll() {
  for (const command of FETCHES) {
    const { failed, output } = await run(command, ['ignore', 'pipe', 'pipe']);
    if (failed) process.stdout.write(output);
    if (isEnding) process.exit(1);
  }
}

const given = process.argv.slice(2);
if (given.length > 0) {
  const { failed } = await run(jest(given), 'inherit', withResults('integration.json'));
  process.exitCode = failed ? 1 : 0;
} else {
  await fetchAll();
  const [first, second] = halves();
  const later = run(
    [...OWN_NAMESPACES, ...jest(second)],
    ['ignore', 'pipe', 'pipe'],
    withResults('integration-2.json'),
  );
  console.log(
    `integration: ${first.length - 1} files here; the output of ${second.length - 1} simultaneous files follows at the end`,
  );
  const here = await run(jest(first), 'inherit', withResults('integration.json'));
  const beside = await later;
  process.stdout.write(beside.output);
  process.exitCode = here.failed || beside.failed ? 1 : 0;
}
