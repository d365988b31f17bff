import { explainStartError } from '../../../src/translate/start-error';

/** What Engines 20.10 to 28.5 and the runtimes runc 1.1 and crun 1.8 said. */
const SHIM = 'failed to create shim task: OCI runtime create failed: ';
const NEWER = `failed to create task for container: ${SHIM}`;
const RUNC = 'runc create failed: unable to start container process: ';

describe('a failed start, in words', () => {
  it.each([
    [
      `${SHIM}${RUNC}exec: "/no/such": stat /no/such: no such file or directory: unknown`,
      'command not found: "/no/such" is',
    ],
    [
      `${NEWER}${RUNC}exec: "nosuch": executable file not found in $PATH`,
      'command not found: "nosuch" is not in the image',
    ],
    [
      `${SHIM}executable file \`nosuch\` not found in $PATH: No such file or directory: unknown`,
      'command not found: "nosuch"',
    ],
    [
      `${SHIM}${RUNC}exec: "/etc/passwd": permission denied: unknown`,
      'permission denied: "/etc/passwd" is not executable',
    ],
    [`${SHIM}open executable: Permission denied: unknown`, 'permission denied: the command'],
    [
      `${NEWER}${RUNC}exec: "/bin/arm": exec format error`,
      '"/bin/arm" is not a program for this kind of machine',
    ],
    [
      'invalid mount config for type "bind": bind source path does not exist: /gone',
      'mount source missing: "/gone" does',
    ],
    [
      `${SHIM}${RUNC}error during container init: error mounting "/a" to rootfs at "/b": stat /a: no such file or directory: unknown`,
      'mount source missing: "/a" does not exist',
    ],
    [
      `${SHIM}${RUNC}error during container init: error mounting "/a" to rootfs at "/b": mount /a:/b (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file`,
      'cannot mount "/a" on "/b": one is a directory',
    ],
    [`${SHIM}mount \`/a\` to \`b\`: Not a directory: unknown`, 'cannot mount "/a" on "b"'],
    [
      'cannot access path /x/merged/absent: lstat /x/merged/absent: no such file or directory',
      'the sub-path of an image',
    ],
    ['path /a is mounted on / but it is not a shared mount', 'mount propagation: "/a" is on no shared mount'],
    ['unable to find user nobody2: no matching entries in passwd file', 'user "nobody2" is not in'],
    ['unable to find group g: no matching entries in group file', 'group "g" is not in'],
    [
      'error gathering device information while adding custom device "/dev/absent": no such file',
      'device missing: "/dev/absent"',
    ],
    [
      'CDI device injection failed: unresolvable CDI devices vendor.com/gpu=0',
      'CDI device unknown: no specification on the node names vendor.com/gpu=0',
    ],
    [
      `${SHIM}${RUNC}error during container init: open /proc/sys/net/nope: no such file or directory: unknown`,
      'sysctl unknown: net.nope',
    ],
    [
      'failed to start shim: failed to resolve runtime path: runtime "io.containerd.runsc.v1" binary not installed "containerd-shim-runsc-v1": file does not exist',
      'runtime "io.containerd.runsc.v1" is not installed: dockerd finds no containerd-shim-runsc-v1',
    ],
  ])('%s', (text, meaning) => {
    const told = explainStartError(text);
    expect(told.startsWith(meaning)).toBe(true);
    // The Engine's own words stay, for whoever searches for them.
    expect(told).toMatch(/ \(.+\)$/);
    expect(told).not.toContain('shim task');
  });

  it('leaves alone what it does not know, but for the words that every failure has', () => {
    expect(explainStartError('a new trouble')).toBe('a new trouble');
    expect(explainStartError(`${NEWER}unknown version specified: unknown`)).toBe('unknown version specified');
    expect(explainStartError('')).toBe('');
  });
});
