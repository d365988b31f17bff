/** What an image's /etc/passwd and /etc/group say. */
export interface Accounts {
  readonly users: readonly { readonly name: string; readonly uid: number; readonly gid: number }[];
  readonly groups: readonly {
    readonly name: string;
    readonly gid: number;
    readonly members: readonly string[];
  }[];
}

/** Lines that are not understood are left out, as the Engine does. */
export function parseAccounts(passwd: string, group: string): Accounts {
  return {
    users: fieldsOf(passwd).flatMap(([name = '', , uid = '', gid = '']) =>
      name !== '' && isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : [],
    ),
    groups: fieldsOf(group).flatMap(([name = '', , gid = '', members = '']) =>
      name !== '' && isId(gid)
        ? [{ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }]
        : [],
    ),
  };
}

function fieldsOf(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(':'));
}

export function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}
