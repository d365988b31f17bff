/** Sets the umask that systemd gives a daemon, so that the umask of the test run does not matter. */
export function withUmaskOfADaemon(): void {
  let before: number;
  beforeEach(() => (before = process.umask(0o022)));
  afterEach(() => process.umask(before));
}
