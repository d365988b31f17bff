import { messageOf } from '../../lib/errors';
import { connect } from '../../migrate/runtime/connect';
import { readiness } from '../../migrate/runtime/ready';
import { print } from '../cri/print';

/** Implements `dockbridge migrate ready`. @returns the exit code: 0 when a kubelet can use the runtime, 1 otherwise. */
export async function ready({ endpoint }: { readonly endpoint: string }): Promise<number> {
  const cri = connect(endpoint);
  try {
    const { name, version, problems } = await readiness(cri, endpoint);
    await print(`${name} ${version} at ${endpoint}: ${problems.length === 0 ? 'ready' : 'not ready'}\n`);
    for (const problem of problems) process.stderr.write(`dockbridge migrate ready: ${problem}\n`);
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`dockbridge migrate ready: ${messageOf(error)}\n`);
    return 1;
  } finally {
    cri.close();
  }
}
