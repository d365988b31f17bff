import { parse } from 'smol-toml';
import { containerdConfigPath, engineContainerd } from '../engine-containerd';
import type { NodeFacts } from '../facts';
import { engineSays, finding, linesIn, type Finding, type Theme } from './finding-of';

/** Which containerd the Engine uses, and whether it can serve kubelet. */
export const containerd: Theme = (facts) => [...shared(facts), ...config(facts)];

function shared(facts: NodeFacts): readonly Finding[] {
  if (facts.engine === undefined) return [];
  const { path, isShared } = engineContainerd(facts);
  if (isShared)
    return [
      finding(
        'review',
        'containerd-shared',
        path === ''
          ? "Nothing tells which containerd the Engine uses. The plan takes it for the node's, which kubelet will ask after the move."
          : "The Engine uses the node's containerd, which kubelet will ask after the move.",
        'Images move without copying if the Engine keeps them in containerd. A restart of containerd belongs after the drain.',
        [engineSays(path === '' ? 'no address of containerd' : `containerd at ${path}`)],
      ),
    ];
  return [
    finding(
      'ok',
      'containerd-shared',
      'The Engine has a containerd of its own, so the new one can be set up next to it.',
      '',
      [engineSays(`containerd at ${path}`)],
    ),
  ];
}

function config(facts: NodeFacts): readonly Finding[] {
  const path = containerdConfigPath(facts);
  const { text } = facts.files[path] ?? {};
  if (text === undefined) return [];
  let value: Readonly<Record<string, unknown>>;
  try {
    value = parse(text);
  } catch (error) {
    const line = error instanceof Error && 'line' in error ? `:${String(error.line)}` : '';
    return [
      finding(
        'change',
        'containerd-config',
        "containerd's configuration is not valid TOML.",
        'Correct it: containerd does not start with it.',
        [{ where: `${path}${line}`, what: 'a syntax error' }],
      ),
    ];
  }
  const { disabled_plugins: disabled } = value;
  const off =
    Array.isArray(disabled) &&
    disabled.some((name) => name === 'cri' || name === 'io.containerd.grpc.v1.cri');
  if (!off) return [];
  const lines = linesIn(facts, path, /disabled_plugins/);
  return [
    finding(
      'change',
      'containerd-cri-off',
      "containerd's configuration turns CRI off, as Docker's package ships it.",
      'The plan turns CRI on and keeps a copy of the file. A kubelet would only report "unknown service runtime.v1.RuntimeService".',
      lines.length > 0 ? lines : [{ where: path, what: 'disabled_plugins contains cri' }],
    ),
  ];
}
