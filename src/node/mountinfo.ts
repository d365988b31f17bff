/** One line of /proc/<pid>/mountinfo (proc(5)). */
export interface Mount {
  readonly id: string;
  /** `major:minor`. */
  readonly device: string;
  /** What of the file system is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  /** Whether what is mounted below it appears in its copies too. */
  readonly isShared: boolean;
  readonly type: string;
  readonly source: string;
  /** The super block's options as they stand there: an escaped comma separates nothing. */
  readonly superOptions: string;
}

export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    if (after === undefined) return [];
    const [id = '', , device = '', root = '', mountPoint = '', , ...optional] = before.split(' ');
    const isShared = optional.some((field) => field.startsWith('shared:'));
    const [type = '', source = '', superOptions = ''] = after.split(' ');
    const named = { root: unescape(root), mountPoint: unescape(mountPoint), source: unescape(source) };
    return [{ id, device, type, isShared, superOptions, ...named }];
  });
}

/** Space, tab, line break and backslash are octal in mountinfo. */
export function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
