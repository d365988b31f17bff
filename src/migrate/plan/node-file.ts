/** A file that the plan wants on the node. */
export interface PlannedFile {
  /** The absolute path on the node. */
  readonly path: string;
  /** The whole text. */
  readonly text: string;
  /** The permission bits; 0o600 for files with secrets. */
  readonly mode: number;
  /** The text before; undefined for a new file. */
  readonly before?: string;
  /** Which step puts the file in its place. */
  readonly step: 'write-target' | 'enable-metrics' | 'edit-kubelet';
}

/** Makes a file of the target, with a first line that tells where it comes from. */
export function targetFile(path: string, origin: string, text: string, mode = 0o644): PlannedFile {
  return { path, text: `# ${origin}\n${text}`, mode, step: 'write-target' };
}
