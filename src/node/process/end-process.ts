import { setTimeout as pause } from 'node:timers/promises';

/** What occupies one of libuv's threads, as Node.js names it. */
const IN_THREAD = /^(FSReq|GetAddrInfo)/i;
/** A file call that takes longer hangs. ms. */
const PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/**
 * Ends this process, also while a thread hangs in a file call (a dead disk): an exit waits for all threads of libuv, for
 * ever then. Such a process is killed, and its exit code is lost.
 */
export async function endProcess(code: number): Promise<void> {
  for (let waited = 0; isInThread(); waited += LOOK_MS) {
    if (waited >= PATIENCE_MS) process.kill(process.pid, 'SIGKILL');
    await pause(LOOK_MS);
  }
  process.exit(code);
}

function isInThread(): boolean {
  return process.getActiveResourcesInfo().some((name) => IN_THREAD.test(name));
}
