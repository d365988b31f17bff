import { readFileSync } from 'node:fs';

/** CAP_SYS_ADMIN and CAP_MKNOD, by their numbers in capabilities(7). */
const NEEDED = (1n << 21n) | (1n << 27n);

/** Returns whether this process may mount and create devices. Root in a container or user namespace may not. */
function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const effective = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const isWholeMachine = /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
  return isWholeMachine && effective !== undefined && (BigInt(`0x${effective}`) & NEEDED) === NEEDED;
}

const MAY_MOUNT = mayMount();
const named = (name: string) =>
  MAY_MOUNT ? name : `${name} (skipped: only the machine's root may mount and make devices)`;

/**
 * `it` and `describe` for tests that only root of the machine can run. Otherwise these tests are skipped,
 * with the reason in their names. CI runs as root.
 */
export const asRoot = (name: string, body: () => Promise<void>) =>
  (MAY_MOUNT ? it : it.skip)(named(name), body);
export const describeAsRoot = (name: string, body: () => void) =>
  (MAY_MOUNT ? describe : describe.skip)(named(name), body);
