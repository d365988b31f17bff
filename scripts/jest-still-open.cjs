'use strict';
const process = require('node:process');
const { setTimeout } = require('node:timers');

/** A run that leaves nothing open ends by itself at once. */
const PATIENCE_MS = 10_000;

/**
 * Ends jest, and prints the open handles, if a handle that a test left open keeps jest's process alive
 * after the last test. Jest itself would wait forever, and a CI would only report that its time ran out.
 * The exit code is that of the tests, because open handles end with this process. global-teardown.ts checks
 * what tests leave on the machine.
 */
module.exports = class JestStillOpen {
  onRunComplete() {
    const end = () => {
      const found = open().join('\n  ');
      process.stderr.write(`These things keep jest alive after its last test, so it is ended:\n  ${found}\n`);
      process.exit();
    };
    // The timer must not be one more thing that keeps jest alive.
    setTimeout(end, PATIENCE_MS).unref();
  }
};

/**
 * Returns a line for each open handle and for the kinds of resources. It calls an undocumented function,
 * because Node.js has no documented one that says what a handle belongs to.
 */
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
