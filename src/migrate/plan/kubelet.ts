import { isMap, isScalar, parseDocument } from 'yaml';
import { kubeletUnit, kubeletUnits, replaceOld } from '../kubelet-units';
import type { TargetSettings } from '../mapping/target-settings';
import type { PlannedFile } from './node-file';

export const ENV_FILE = '/var/lib/kubelet/kubeadm-flags.env';
export const INSTANCE_CONFIG = '/var/lib/kubelet/instance-config.yaml';
export const CRICTL = '/etc/crictl.yaml';

/** Files whose flags are added to the kubelet's. */
const EXTRA_ARGS: readonly string[] = ['/etc/default/kubelet', '/etc/sysconfig/kubelet'];

const ENDPOINT_FLAG = 'container-runtime-endpoint';

/** Flags of the time of dockershim, and others that a kubelet of today refuses or that concern the Engine's bridge. */
const OBSOLETE_NAMES =
  '--(?:network-plugin|cni-[a-z-]+|docker[a-z-]*|image-pull-progress-deadline|container-runtime|pod-infra-container-image)';
const OBSOLETE = new RegExp(`^${OBSOLETE_NAMES}(=|$)`);
/** One of these flags in a line of a unit, with its value, which may be a word of its own. */
const OBSOLETE_WORDS = `${OBSOLETE_NAMES}(?:=[^\\s"']*|[ \\t]+(?![-$"'\\\\]|[A-Z_]+=)[^\\s"']+)?(?=[\\s"']|$)`;
const OBSOLETE_LATER = new RegExp(`\\s+${OBSOLETE_WORDS}`, 'g');
const OBSOLETE_FIRST = new RegExp(`(["'=])${OBSOLETE_WORDS}[ \\t]*`, 'g');

export interface KubeletNode {
  /** The files that exist, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** The path of the KubeletConfiguration; '' when the kubelet has none. */
  readonly configFile: string;
  /** The paths of the files in its --config-dir. */
  readonly dropIns: readonly string[];
  /** Where the kubelet's endpoint comes from: `flag`, a path, or '' when nothing sets it. */
  readonly endpointFrom: string;
  /** The target's socket, as `unix://PATH`. */
  readonly endpoint: string;
  readonly unit: 'containerd' | 'crio';
  /** The units of the bridge, whatever their names are. */
  readonly bridgeUnits: readonly string[];
  readonly logs: Pick<TargetSettings, 'logMaxSize' | 'logMaxFiles'>;
  readonly origin: string;
}

/** Returns the files of the kubelet, kubeadm and crictl that change. A file that says the right thing already is not among them. */
export function kubeletEdits(node: KubeletNode): PlannedFile[] {
  const edits = new Map<string, (text: string) => string>();
  for (const path of node.dropIns)
    edits.set(path, (text) =>
      setsEndpoint(text) ? setYaml(text, { containerRuntimeEndpoint: node.endpoint }) : text,
    );
  edits.set(node.configFile, (text) => editConfig(text, node));
  edits.set(INSTANCE_CONFIG, (text) => setYaml(text, { containerRuntimeEndpoint: node.endpoint }));
  edits.set(ENV_FILE, (text) => editFlags(text, node.endpoint));
  for (const path of EXTRA_ARGS) edits.set(path, (text) => editFlags(text, node.endpoint));
  edits.set(CRICTL, (text) =>
    setYaml(text, { 'runtime-endpoint': node.endpoint, 'image-endpoint': node.endpoint }),
  );
  const changed: PlannedFile[] = [];
  for (const path of kubeletUnits([...node.files.keys()])) edits.set(path, (text) => editUnit(text, node));
  for (const [path, before] of node.files) {
    const edit = edits.get(path);
    const text = edit?.(before) ?? before;
    if (text === before) continue;
    changed.push({
      path: ownUnit(path),
      text,
      mode: 0o644,
      step: 'edit-kubelet',
      ...(ownUnit(path) === path ? { before } : { copyOf: path }),
    });
  }
  if (!node.files.has(CRICTL))
    changed.push({
      path: CRICTL,
      text: `# ${node.origin}\nruntime-endpoint: ${node.endpoint}\nimage-endpoint: ${node.endpoint}\n`,
      mode: 0o644,
      step: 'edit-kubelet',
    });
  return changed;
}

/** A unit of a package is not edited: a file of the same name in /etc takes its place. */
function ownUnit(path: string): string {
  const unit = kubeletUnit(path);
  return unit === undefined ? path : `/etc/systemd/system/${unit}`;
}

function editConfig(text: string, { endpoint, endpointFrom, configFile, logs }: KubeletNode): string {
  const isHere = endpointFrom === configFile || endpointFrom === '' || setsEndpoint(text);
  return setYaml(text, {
    ...(isHere ? { containerRuntimeEndpoint: endpoint } : {}),
    ...(logs.logMaxSize === '' ? {} : { containerLogMaxSize: logs.logMaxSize }),
    ...(logs.logMaxFiles === undefined ? {} : { containerLogMaxFiles: logs.logMaxFiles }),
  });
}

function setsEndpoint(text: string): boolean {
  return /^["']?containerRuntimeEndpoint["']?\s*:/m.test(text);
}

/** Sets values at the top of a YAML document. All other bytes stay as they are: the patch shows what changed and nothing else. */
function setYaml(text: string, values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values).reduce((edited, [key, value]) => setKey(edited, key, value), text);
}

function setKey(text: string, key: string, value: string | number): string {
  const document = parseDocument(text);
  const { contents } = document;
  if (document.errors.length > 0 || document.get(key) === value) return text;
  const old = document.get(key, true);
  const [start, end] = isScalar(old) ? (old.range ?? []) : [];
  if (start !== undefined && end !== undefined && end > start) {
    const quote = /^["']/.exec(text.slice(start, end))?.[0] ?? '';
    return `${text.slice(0, start)}${quote}${value}${quote}${text.slice(end)}`;
  }
  const canAppend = old === undefined && (contents === null || (isMap(contents) && contents.flow !== true));
  if (canAppend && !/^\.\.\./m.test(text))
    return `${text}${/[^\n]$/.test(text) ? '\n' : ''}${key}: ${value}\n`;
  document.set(key, value);
  return document.toString({ lineWidth: 0 });
}

/** Sets the endpoint in lines such as `KUBELET_KUBEADM_ARGS="…"` that have it, and removes flags that are obsolete. */
function editFlags(text: string, endpoint: string): string {
  return text
    .split('\n')
    .map((line) => {
      const [, start = '', quote = '', flags = '', end = ''] =
        /^(\s*KUBELET_[A-Z_]+=)(["']?)(.*?)(\2\s*)$/.exec(line) ?? [];
      return start === '' ? line : `${start}${quote}${withEndpoint(flags, endpoint)}${end}`;
    })
    .join('\n');
}

function withEndpoint(flags: string, endpoint: string): string {
  const words = flags.split(/\s+/).filter((word) => word !== '');
  const kept: string[] = [];
  let isChanged = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const value = words[at + 1];
    const isApart = !word.includes('=') && value !== undefined && !value.startsWith('-');
    if (word === `--${ENDPOINT_FLAG}` || word.startsWith(`--${ENDPOINT_FLAG}=`)) {
      isChanged = true;
      kept.push(`--${ENDPOINT_FLAG}=${endpoint}`);
    } else if (OBSOLETE.test(word)) isChanged = true;
    else {
      kept.push(word);
      continue;
    }
    if (isApart) at++;
  }
  return isChanged ? kept.join(' ') : flags;
}

/** Edits the dependencies of a unit and the flags on its command line and in its environment. */
function editUnit(text: string, { endpoint, unit, bridgeUnits }: KubeletNode): string {
  return text
    .split('\n')
    .map((line) => {
      if (/^\s*[#;]/.test(line)) return line;
      return replaceOld(line, `${unit}.service`, bridgeUnits)
        .replace(new RegExp(`(--${ENDPOINT_FLAG}[= ])[^\\s"']+`, 'g'), (_, flag: string) => flag + endpoint)
        .replace(OBSOLETE_LATER, '')
        .replace(OBSOLETE_FIRST, '$1');
    })
    .join('\n');
}
