// run-facts.mjs DIR SECONDS: writes DIR/run.json about the run of .ci/run that has just ended: its time and duration, its
// commit, the machine and the versions. DIR/steps lists the steps of the run. The versions come from the programs
// themselves; a program that does not answer is an error.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [directory, seconds] = process.argv.slice(2);
const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

function said(command, args, env = process.env) {
  return execFileSync(command, args, { cwd: root, env, encoding: 'utf8' }).trim();
}

/** Returns the version in a program's output, such as `Docker version 20.10.24+dfsg1, build 5d6db84`. */
function versionOf(command, env) {
  const version = /\d+\.\d+[^\s,]*/.exec(said(command, ['--version'], env))?.[0];
  if (version === undefined) throw new Error(`${command} does not say its version`);
  return version;
}

/** Returns the versions of the programs that engine.sh starts for this Engine. */
function engineFacts(engine) {
  const before = engine === '' ? '' : said('bash', ['scripts/engine-version.sh', engine]);
  const env = { ...process.env, PATH: `${before}${process.env.PATH}:/usr/sbin:/sbin` };
  const [dockerd, containerd, runc] = ['dockerd', 'containerd', 'runc'].map((name) => versionOf(name, env));
  return { engine, dockerd, containerd, runc };
}

/** Returns the version of the given program, or else the version that one of our files requests from the module proxy. */
function builtVersion(given, file, pattern) {
  return given ? versionOf(given) : pattern.exec(readFileSync(join(root, file), 'utf8'))?.[1];
}

function commit() {
  try {
    return { commit: said('git', ['rev-parse', 'HEAD']), changed: said('git', ['status', '--short']) !== '' };
  } catch {
    return { commit: null, changed: false };
  }
}

const steps = read(join(directory, 'steps'));
const testEngine = process.env.DOCKBRIDGE_TEST_ENGINE ?? '';
const engines = new Set([...steps.matchAll(/ ENGINE=(\S*)/g)].map(([, engine]) => engine));
// The commands of the integration tests and of churn have no ENGINE=.
if (/\bmake (test|churn)$/m.test(steps)) engines.add(testEngine);

const facts = {
  began: new Date(Date.now() - Number(seconds) * 1000).toISOString(),
  seconds: Number(seconds),
  ...commit(),
  system: /^PRETTY_NAME="?(.*?)"?$/m.exec(read('/etc/os-release'))?.[1] ?? process.platform,
  kernel: release(),
  architecture: process.arch === 'x64' ? 'amd64' : process.arch,
  processors: availableParallelism(),
  cgroups: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'v2' : 'v1',
  node: process.versions.node,
  critest: builtVersion(process.env.CRITEST, 'scripts/cri-tools.sh', /^version=v(.*)$/m),
  kubelet: builtVersion(
    process.env.KUBELET,
    'test/conformance/kubelet/go.mod',
    /^\tk8s\.io\/kubernetes v(\S+)/m,
  ),
  testEngine,
  engines: [...engines].sort().map(engineFacts),
};
writeFileSync(join(directory, 'run.json'), `${JSON.stringify(facts, null, 2)}\n`);
