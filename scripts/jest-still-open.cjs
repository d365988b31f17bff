'use strict';
// The globals can be replaced by its own test, the modules of the same names cannot.
const { process } = globalThis;

/** A run that leaves nothing open ends by itself at once. */
const PATIENCE_MS = 10_000;

/**
 * Ends jest when something that a test forgot keeps its process alive after the last test, and names it.
 * Jest itself would wait forever, and a CI would learn nothing but that its time ran out. The exit code is
 * that of the tests: what they leave on the machine is checked elsewhere (global-teardown.ts), and what is
 * open here ends with this process.
 */
module.exports = class JestStillOpen {
  onRunComplete(_contexts, { numFailedTests, numRuntimeErrorTestSuites, wasInterrupted }) {
    const hasFailed = numFailedTests > 0 || numRuntimeErrorTestSuites > 0 || wasInterrupted;
    const look = () => {
      // Jest runs globalTeardown after this method. It may take longer than the patience.
      if (process.env.DOCKBRIDGE_TEST_TEARDOWN === 'running') return later();
      const found = open().join('\n  ');
      process.stderr.write(`These things keep jest alive after its last test, so it is ended:\n  ${found}\n`);
      // Without an argument, the exit code is the one that jest has chosen.
      process.exit(hasFailed ? 1 : undefined);
    };
    // The timer must not be one more thing that keeps jest alive.
    const later = () => globalThis.setTimeout(look, PATIENCE_MS).unref();
    later();
  }
};

/** Node.js has no documented way to ask what a handle belongs to. */
function open() {
  const handles = process._getActiveHandles().map((handle) => {
    const { spawnargs, pid, localPort, remotePort, server, fd, path, _handle } = handle;
    const known = { spawnargs, pid, localPort, remotePort, fd: fd ?? _handle?.fd, path };
    if (typeof handle.address === 'function') known.address = handle.address();
    if (server) known.server = server.constructor.name;
    return `${handle.constructor.name} ${JSON.stringify(known)}`;
  });
  return [...handles, `all kinds: ${process.getActiveResourcesInfo().join(', ')}`];
}
