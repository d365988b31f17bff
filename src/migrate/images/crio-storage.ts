/** Where CRI-O keeps images, in the words of containers-storage.conf(5). */
export interface CrioStorage {
  readonly driver: string;
  /** `graphroot`. */
  readonly root: string;
}

/**
 * Reads the storage from the mount points that CRI-O returns in ImageFsInfo: `ROOT/DRIVER-images`.
 * @returns undefined when CRI-O keeps images apart from containers (`imagestore`), or when the mount points have another form. skopeo
 * then follows /etc/containers/storage.conf.
 */
export function crioStorage(imageMount: string, containerMount: string): CrioStorage | undefined {
  const [, root, driver] = /^(\/.+)\/([^/]+)-images$/.exec(imageMount) ?? [];
  if (root === undefined || driver === undefined || containerMount.endsWith('-containers')) return undefined;
  return { driver, root };
}
