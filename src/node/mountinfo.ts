/** One line of /proc/<pid>/mountinfo (proc(5)). */
export interface Mount {
  readonly id: string;
  /** `major:minor`. */
  readonly device: string;
  /** Path, inside the mounted file system, of the directory that appears at `mountPoint`. */
  readonly root: string;
  readonly mountPoint: string;
  /** The mount's own options, such as `ro,nosuid`. */
  readonly options: string;
  /**
   * Whether propagation is shared: a mount made below this mount then also appears below the other mounts of its peer group.
   */
  readonly isShared: boolean;
  /** Whether the mount is a slave: mounts made below its master mount also appear below this mount. */
  readonly isSlave: boolean;
  readonly type: string;
  readonly source: string;
  /**
   * The super block's options. They are not decoded, because an escaped comma inside a value must not look like a separator.
   */
  readonly superOptions: string;
}

export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    if (after === undefined) return [];
    const [id = '', , device = '', root = '', mountPoint = '', options = '', ...optional] = before.split(' ');
    const isShared = optional.some((field) => field.startsWith('shared:'));
    const isSlave = optional.some((field) => field.startsWith('master:'));
    const [type = '', source = '', superOptions = ''] = after.split(' ');
    const named = { root: unescape(root), mountPoint: unescape(mountPoint), source: unescape(source) };
    return [{ id, device, type, options, isShared, isSlave, superOptions, ...named }];
  });
}

/** Decodes space, tab, line break and backslash, which mountinfo writes in octal. */
export function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
