/** Who may read a file. */
export interface Permissions {
  /** The permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The bits of a file that holds a secret. */
export const SECRET_MODE = 0o600;

/** A file that the plan wants on the node. */
export interface PlannedFile {
  /** The absolute path on the node. */
  readonly path: string;
  /** The whole text. */
  readonly text: string;
  /** The permission bits: those of the file before, and SECRET_MODE for a new file with a secret. */
  readonly mode: number;
  /** The owner of the file before; undefined for root. */
  readonly owner?: Pick<Permissions, 'uid' | 'gid'>;
  /** The file of which this new file is an edited copy. */
  readonly copyOf?: string;
  /** The text before; undefined for a new file. */
  readonly before?: string;
  /** Which step puts the file in its place. */
  readonly step: 'write-target' | 'enable-metrics' | 'edit-kubelet';
}

/** Makes a file of the target, with a first line that tells where it comes from. */
export function targetFile(path: string, origin: string, text: string, mode = 0o644): PlannedFile {
  return { path, text: `# ${origin}\n${text}`, mode, step: 'write-target' };
}

/** Keeps the permissions of an original: an edited file must not become readable for others. */
export function withPermissions(file: PlannedFile, original: Permissions | undefined): PlannedFile {
  if (original === undefined) return file;
  const { mode, uid, gid } = original;
  return {
    ...file,
    mode: file.mode === SECRET_MODE ? SECRET_MODE : mode,
    ...(uid === 0 && gid === 0 ? {} : { owner: { uid, gid } }),
  };
}
