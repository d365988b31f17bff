import { counted } from '../../lib/counted';
import { messageOf } from '../../lib/errors';
import { connect } from '../../migrate/runtime/connect';
import { podsOf, removePods as remove } from '../../migrate/runtime/remove-pods';
import { print } from '../cri/print';

export interface RemovePodsCommand {
  readonly endpoint: string;
  readonly dryRun: boolean;
}

/** Implements `dockbridge migrate remove-pods`. @returns the exit code: 0 when no pod is left (or with --dry-run), 1 otherwise. */
export async function removePods({ endpoint, dryRun }: RemovePodsCommand): Promise<number> {
  const cri = connect(endpoint);
  try {
    if (dryRun) {
      for (const { name, id } of await podsOf(cri)) await print(`${name}  ${id}\n`);
      return 0;
    }
    let count = 0;
    const failures = await remove(cri, ({ name, id }) => {
      count++;
      process.stdout.write(`removed ${name}  ${id}\n`);
    });
    await print(`${counted(count, 'pod')} removed from ${endpoint}\n`);
    for (const failure of failures) process.stderr.write(`dockbridge migrate remove-pods: ${failure}\n`);
    return failures.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(
      `dockbridge migrate remove-pods: the pods of ${endpoint} are not known: ${messageOf(error)}\n`,
    );
    return 1;
  } finally {
    cri.close();
  }
}
