import { setTimeout as pause } from 'node:timers/promises';

/** Node.js's names for requests that occupy one of libuv's threads. */
const IN_THREAD = /^(FSReq|GetAddrInfo)/i;
/** A file call that takes longer than this hangs. ms. */
const PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/**
 * Ends this process, even while a thread hangs in a file call (a dead disk). An exit would wait for all threads of libuv, and
 * so for ever; such a process is killed, and its exit code is lost.
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
