/** Gives each test the umask that systemd gives a daemon, whatever that of whoever runs the tests is. */
export function withUmaskOfADaemon(): void {
  let before: number;
  beforeEach(() => (before = process.umask(0o022)));
  afterEach(() => process.umask(before));
}
