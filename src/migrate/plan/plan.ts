import { join } from 'node:path';
import { flagOf } from '../../lib/flags';
import { REMOVED } from '../../doctor/bundle/redact';
import { bridgeUnits } from '../bridge';
import { engineNamespaces } from '../engine-containerd';
import type { NodeFacts } from '../facts';
import type { Finding } from '../finding';
import { unsetKernelSettings } from '../kernel-settings';
import { diskFindings } from '../inventory/host';
import { kubeletUnit } from '../kubelet-units';
import type { Target } from '../mapping/row';
import { engineSettings } from '../mapping/setting';
import { settingFindings } from '../mapping/setting-findings';
import { targetSettings, type TargetSettings } from '../mapping/target-settings';
import { nodeName } from '../node-name';
import { nodeState, targetRoot } from '../target-root';
import { certificateCopy, certificatesDirectory } from './certificates';
import { dataRootRemoval } from './clean-up';
import { containerdPlan } from './containerd';
import { UnusableConfig } from './containerd-main';
import { isAtLeast, OLDEST_CONTAINERD } from './containerd-version';
import { crioFiles } from './crio';
import { crioRuntimes } from './crio-runtimes';
import { kernelFiles } from './kernel';
import { CRICTL, ENV_FILE, INSTANCE_CONFIG, kubeletEdits } from './kubelet';
import { withPermissions, type Permissions, type PlannedFile } from './node-file';
import { isInstalled, packageTool, ranBefore } from './packages';
import { presentFindings } from './present-settings';
import { dockerProxy, proxyFindings } from './proxy';
import { sha256 } from './sha256';
import { quoted } from './shell';
import type { Step } from './step';
import { stepsOf } from './steps';
import { engineConfiguration, nodeContext, targetNode } from './target-node';
import { oldUnits } from './units';

/** What a plan is made from. */
export interface PlanInput {
  readonly facts: NodeFacts;
  /** Findings of the inventory, without those about settings. */
  readonly findings: readonly Finding[];
  readonly target: Target;
  /** The release that makes the plan. */
  readonly version: string;
  /** Ids of findings that block and that the user accepts. */
  readonly accepted: readonly string[];
  readonly keepDocker: boolean;
  /** The texts of the node's files as they are, with secrets, by path. */
  readonly originals: ReadonlyMap<string, string>;
  /** The permissions of the node's files, by path; undefined when nothing is known of them. */
  readonly permissions?: ReadonlyMap<string, Permissions>;
}

export interface Plan {
  readonly version: string;
  readonly target: Target;
  readonly hostname: string;
  /** The first line of every file. */
  readonly origin: string;
  readonly findings: readonly Finding[];
  readonly accepted: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly steps: readonly Step[];
  /** SHA-256 of each file that the inventory read, by path: the plan holds for a node with these files. */
  readonly inventory: Readonly<Record<string, string>>;
}

/** The plan cannot be made. `findings` are those that forbid it. */
export class PlanRefused extends Error {
  /** @param canAccept whether the user may accept the findings and get a plan nevertheless. */
  constructor(
    message: string,
    readonly findings: readonly Finding[],
    readonly canAccept = false,
  ) {
    super(message);
  }
}

export const ENDPOINTS: Readonly<Record<Target, string>> = {
  containerd: 'unix:///run/containerd/containerd.sock',
  'cri-o': 'unix:///var/run/crio/crio.sock',
};

/** The id of the finding about a daemon.json that is not JSON. */
const BROKEN = 'daemon-json-broken';

/** Makes the plan of a node's migration. Throws PlanRefused when a finding forbids it, or when the kubelet has left Docker. */
export function makePlan(input: PlanInput): Plan {
  const { facts, target, version } = input;
  refuseMoved(facts);
  const read = (path: string): string | undefined => originalText(input, path);
  const configuration = engineConfiguration(facts, read);
  const unit = target === 'containerd' ? 'containerd' : 'crio';
  const { merged } = engineSettings(configuration);
  const proxy = dockerProxy(facts, merged, read);
  const byHand = proxyFindings(proxy, unit);
  const findings = [
    // The inventory does not know the target.
    ...input.findings.filter(
      ({ id }) => !id.startsWith('setting-') && id !== 'disk' && !byHand.some((one) => one.id === id),
    ),
    ...diskFindings(facts, target),
    ...byHand,
    // The inventory's finding about a broken file names the line.
    ...settingFindings(configuration, target, nodeState(facts)).filter(
      ({ id }) => id !== BROKEN || !input.findings.some((one) => one.id === BROKEN),
    ),
  ];
  refuseBlocked(findings, input.accepted);
  const oldEndpoint = facts.kubelet?.endpoint.value ?? '';
  const dockerRoot = facts.engine?.info.DockerRootDir ?? '';
  const context = nodeContext(facts);
  const isContainerdShared = target === 'containerd' && context.isContainerdShared;
  const settings = targetSettings(merged, { ...context, isContainerdShared, proxy: proxy.proxy });
  const units = oldUnits(facts, input.keepDocker);
  const origin = originOf(version, configuration.file?.text);
  const node = targetNode(facts, read);
  const containerd =
    target === 'containerd' ? usable(node.mainPath, () => containerdPlan(settings, node, origin)) : undefined;
  const runtimes = containerd === undefined ? crioRuntimes(settings, node).findings : [];
  const targetFiles = containerd?.files ?? crioFiles(settings, node, origin);
  const certificates = certificateCopy(
    node.certificates,
    target,
    facts.directories[certificatesDirectory(target)],
  );
  if (isContainerdShared) refuseOldContainerd(facts, containerd?.main.version ?? 3);
  const edits = kubeletEdits({
    files: kubeletFiles(facts, read),
    configFile: facts.kubelet?.configFile ?? '',
    dropIns: dropInsOf(facts),
    endpointFrom: facts.kubelet?.endpoint.from ?? '',
    endpoint: ENDPOINTS[target],
    unit,
    bridgeUnits: bridgeUnits(facts),
    logs: settings,
    origin,
  });
  const files = [...targetFiles, ...kernelFiles(unsetKernelSettings(facts), origin), ...edits].map((file) =>
    withPermissions(withBefore(file, read), input.permissions?.get(file.copyOf ?? file.path)),
  );
  refuseRedacted(files);
  const inventory = Object.fromEntries(
    Object.entries(facts.files).map(([path, { sha256: hash }]) => [path, hash]),
  );
  return {
    version,
    target,
    hostname: facts.host.hostname,
    origin,
    findings: [
      ...findings.filter(({ id }) => !runtimes.some((one) => one.id === id)),
      ...runtimes,
      ...registryFindings(settings),
      ...endpointFindings(facts, edits, target),
      ...presentFindings(containerd?.main, containerd?.dropIn ?? {}, node, files),
      ...units.findings,
    ],
    accepted: input.accepted,
    files,
    steps: stepsOf({
      target,
      unit,
      endpoint: ENDPOINTS[target],
      oldEndpoint: oldEndpoint === '' ? 'unix:///var/run/cri-dockerd.sock' : oldEndpoint,
      oldUnits: units,
      node: quoted(nodeName(facts)),
      files,
      keepDocker: input.keepDocker,
      isContainerdShared,
      isControlPlane: (facts.directories['/etc/kubernetes/manifests'] ?? []).length > 0,
      certificates,
      hasKubelet: facts.kubelet !== undefined,
      kubeletConfig: facts.kubelet?.configFile ?? '',
      mainPath: node.mainPath,
      packageTool: packageTool(facts),
      isInstalled: isInstalled(facts, target),
      ranBefore: ranBefore(facts, unit),
      configVersion: containerd?.main.version ?? 3,
      engineNamespaces: input.keepDocker ? [] : engineNamespaces(facts),
      dataRoot: dataRootRemoval(dockerRoot === '' ? '/var/lib/docker' : dockerRoot, facts, [
        targetRoot(target, facts),
      ]),
      backup: backupOf(inventory, files),
      keptFiles: [
        ...new Set([
          ...Object.keys(facts.files).filter(isWorthKeeping),
          ...certificates.present,
          ...files.flatMap(({ path, before }) => (before === undefined ? [] : [path])),
        ]),
      ],
    }),
    inventory,
  };
}

/** A second plan, made when the first one is half done, must not overwrite the only copy of the original files. */
function backupOf(inventory: Plan['inventory'], files: readonly PlannedFile[]): string {
  const id = sha256(JSON.stringify([inventory, files])).slice(0, 12);
  return `/var/backups/dockbridge-migrate-${id}.tar.gz`;
}

/** Throws an Error when a planned file has the mark of a removed secret that its original does not have. */
function refuseRedacted(files: readonly PlannedFile[]): void {
  const wrong = files.find(({ text, before = '' }) => text.includes(REMOVED) && !before.includes(REMOVED));
  if (wrong !== undefined)
    throw new Error(
      `the plan knows a secret of ${wrong.path} only as ${REMOVED}. Put that setting into a file, such as daemon.json, and plan again.`,
    );
}

/** Returns the text of a file as it is on the node; undefined when there is none. Throws an Error instead of returning a redacted text. */
function originalText({ facts, originals }: PlanInput, path: string): string | undefined {
  const original = originals.get(path);
  const { text, isRedacted = false } = facts.files[path] ?? {};
  if (original === undefined && isRedacted)
    throw new Error(`${path} holds a secret, and was gone when the plan read it again. Make the plan again.`);
  return original ?? text;
}

/** Throws PlanRefused for blocking findings that the user did not accept. */
export function refuseBlocked(findings: readonly Finding[], accepted: readonly string[]): void {
  const blocking = findings.filter(({ id, severity }) => severity === 'block' && !accepted.includes(id));
  if (blocking.length > 0)
    throw new PlanRefused('the inventory forbids the migration of this node', blocking, true);
}

/** The steps remove all pods of the kubelet's runtime. On a node that has moved, these are the pods that serve. */
function refuseMoved({ kubelet }: NodeFacts): void {
  const endpoint = kubelet?.endpoint.value ?? '';
  if (!/\/(containerd\/containerd|crio\/crio)\.sock$/.test(endpoint)) return;
  const message = `the kubelet of this node already asks ${endpoint}`;
  const finding: Finding = {
    id: 'already-moved',
    severity: 'block',
    summary: 'The pods of this node do not run on Docker.',
    evidence: [{ where: kubelet?.endpoint.from ?? '', what: endpoint }],
    advice:
      'There is nothing to move. If the move is half done, finish it with the plan that began it. Otherwise remove Docker with the tools of your distribution.',
    link: 'docs/migrating.md#already-moved',
  };
  throw new PlanRefused(message, [finding]);
}

/** The Engine tells the version of the containerd on which it runs. */
function refuseOldContainerd({ engine }: NodeFacts, configVersion: 2 | 3): void {
  const components = engine?.version.Components ?? [];
  const version = components.find(({ Name }) => Name === 'containerd')?.Version ?? '';
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  const needed = OLDEST_CONTAINERD[configVersion];
  if (major === undefined || isAtLeast([Number(major), Number(minor)], needed)) return;
  const finding: Finding = {
    id: 'containerd-version',
    severity: 'block',
    summary: `The Engine runs on containerd ${version}, which does not work with the configuration of the plan.`,
    evidence: [{ where: 'engine', what: `containerd ${version}` }],
    advice: `Update containerd to ${needed.join('.')} or newer together with the Engine, and plan again.`,
    link: 'docs/migrating.md#containerd-version',
  };
  throw new PlanRefused(finding.summary, [finding]);
}

/** Throws PlanRefused for a configuration of containerd that the plan cannot extend. */
function usable<T>(mainPath: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof UnusableConfig)) throw error;
    const finding: Finding = {
      id: 'containerd-config',
      severity: 'block',
      summary: 'The configuration of containerd on this node cannot be extended.',
      evidence: [{ where: mainPath, what: error.message }],
      advice: error.message,
      link: 'docs/migrating.md#containerd-config',
    };
    throw new PlanRefused(error.message, [finding]);
  }
}

function registryFindings({ invalidRegistries }: TargetSettings): Finding[] {
  if (invalidRegistries.length === 0) return [];
  return [
    {
      id: 'setting-insecure-registries',
      severity: 'change',
      summary: 'Entries of "insecure-registries" are not hosts, and the plan writes nothing for them.',
      evidence: invalidRegistries.map((name) => ({ where: 'engine', what: name })),
      advice: 'Write each registry as HOST or HOST:PORT into insecure-registries, and plan again.',
      link: 'docs/migrating.md#registries',
    },
  ];
}

/**
 * A flag may come from a place that the plan does not know, such as a script that starts the kubelet. The kubelet itself does not read
 * crictl's file and kubeadm's instance-config.yaml, and a flag wins over its configuration.
 */
function endpointFindings({ kubelet }: NodeFacts, edits: readonly PlannedFile[], target: Target): Finding[] {
  const wanted = kubelet?.endpoint.from === 'flag' ? /--container-runtime-endpoint[= ]/ : /(?:)/;
  const isSet = edits.some(
    ({ path, text }) =>
      ![CRICTL, INSTANCE_CONFIG].includes(path) && text.includes(ENDPOINTS[target]) && wanted.test(text),
  );
  if (kubelet === undefined || isSet || kubelet.endpoint.value === ENDPOINTS[target]) return [];
  return [
    {
      id: 'kubelet-endpoint-elsewhere',
      severity: 'change',
      summary: 'No file that the plan knows sets the endpoint of the kubelet.',
      evidence: [{ where: kubelet.from, what: kubelet.endpoint.value }],
      advice: `Find out how the kubelet is started, and give it --container-runtime-endpoint=${ENDPOINTS[target]} in the step edit-kubelet.`,
      link: 'docs/migrating.md#kubelet-endpoint',
    },
  ];
}

function originOf(version: string, daemonJson: string | undefined): string {
  const source =
    daemonJson === undefined ? 'a node without daemon.json' : `daemon.json sha256 ${sha256(daemonJson)}`;
  return `generated by dockbridge ${version} migrate plan from ${source}`;
}

function kubeletFiles(facts: NodeFacts, read: (path: string) => string | undefined): Map<string, string> {
  const wanted = [facts.kubelet?.configFile ?? '', INSTANCE_CONFIG, ENV_FILE, CRICTL, ...dropInsOf(facts)];
  const paths = Object.keys(facts.files).filter(
    (path) =>
      wanted.includes(path) ||
      /^\/etc\/(default|sysconfig)\/kubelet$/.test(path) ||
      kubeletUnit(path) !== undefined,
  );
  return new Map(paths.map((path) => [path, read(path) ?? '']));
}

/** The files of the kubelet's --config-dir, which win over its configuration. */
function dropInsOf({ files, kubelet }: NodeFacts): string[] {
  const directory = flagOf(kubelet?.arguments ?? [], 'config-dir') ?? '';
  return directory === '' ? [] : Object.keys(files).filter((path) => path.startsWith(join(directory, '/')));
}

/** A file that is there already is replaced, and undoing the step brings it back. */
function withBefore(file: PlannedFile, read: (path: string) => string | undefined): PlannedFile {
  const before = file.before ?? read(file.path);
  return before === undefined ? file : { ...file, before };
}

function isWorthKeeping(path: string): boolean {
  return !path.startsWith('/usr/') && path !== '/etc/os-release';
}
