/** Gives each test the umask that systemd gives a daemon, whatever the umask of the test run. */
export function withUmaskOfADaemon(): void {
  let before: number;
  beforeEach(() => (before = process.umask(0o022)));
  afterEach(() => process.umask(before));
}
