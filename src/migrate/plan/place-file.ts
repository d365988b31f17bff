import type { PlannedFile } from './node-file';
import { quoted } from './shell';

/** Returns the command that puts a file of the plan in its place. It runs in the directory of the plan. */
export function putCommand({ path, mode, owner }: PlannedFile): string {
  const by = owner === undefined ? '' : ` -o ${owner.uid} -g ${owner.gid}`;
  return `install -D -m ${mode.toString(8).padStart(4, '0')}${by} ${quoted(`files${path}`)} ${quoted(path)}`;
}

/** Returns the command that restores the file from the backup, or removes a new file. */
export function undoCommand({ path, before }: PlannedFile, archive: string): string {
  return before === undefined ? `rm -f ${quoted(path)}` : `tar -C / -xzf ${archive} ${quoted(path.slice(1))}`;
}
