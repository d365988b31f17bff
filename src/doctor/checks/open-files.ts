import { readdir } from 'node:fs/promises';
import { ENOUGH_FILES, fileLimit } from '../../node/file-limit';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** A share of the limit; beyond it calls begin to fail. */
const FULL = 0.9;

export interface OpenFilesFacts {
  /** undefined: no dockbridge runs, and the limit is that of the doctor. */
  readonly pid: number | undefined;
  readonly limit: number;
  /** undefined where it cannot be seen. */
  readonly open: number | undefined;
}

/** Whether dockbridge may open as many files as a node full of containers needs. */
export const openFiles: Check = {
  id: 'open-files',
  run: async ({ daemon }) => {
    const pid = daemon?.pid;
    const process = `/proc/${pid ?? 'self'}`;
    const open = await readdir(`${process}/fd`).catch(() => undefined);
    return [judgeOpenFiles({ pid, limit: fileLimit(`${process}/limits`), open: open?.length })];
  },
};

export function judgeOpenFiles({ pid, limit, open }: OpenFilesFacts): Finding {
  const whose = pid === undefined ? 'no dockbridge runs; from this shell it' : `process ${pid}`;
  const cure =
    'LimitNOFILE=1048576 in the [Service] section of its unit, then: systemctl daemon-reload, systemctl restart dockbridge';
  if (pid !== undefined && open !== undefined && open > limit * FULL)
    return fail(`${whose} has ${open} of ${limit} files open: calls and logs are about to fail`, cure);
  if (limit < ENOUGH_FILES)
    return warn(
      `${whose} may open ${limit} files, fewer than ${ENOUGH_FILES}: with many containers calls and logs will fail`,
      cure,
    );
  const now = pid === undefined || open === undefined ? '' : `, and has ${open} open`;
  return ok(`${whose} may open ${Number.isFinite(limit) ? limit : 'any number of'} files${now}`);
}
