/** What the Engine and the OCI runtimes say when a container cannot start, and what that means to who wrote the pod. */
const CAUSES: readonly (readonly [RegExp, (...parts: string[]) => string])[] = [
  [/exec: "([^"]+)": (?:stat .*no such file or directory|executable file not found)/, commandNotFound],
  [/executable file `([^`]+)` not found/, commandNotFound],
  [/exec: "([^"]+)": permission denied/, (file) => `permission denied: "${file}" is not executable`],
  [/open executable: Permission denied/, () => 'permission denied: the command is not executable'],
  [/exec: "([^"]+)": exec format error/, (file) => `"${file}" is not a program for this kind of machine`],
  [
    /bind source path does not exist: (.+)/,
    (path) => `mount source missing: "${path}" does not exist on the node`,
  ],
  [/error mounting "([^"]+)" to rootfs at "([^"]+)":.*not a directory/, wrongKind],
  [/mount `([^`]+)` to `([^`]+)`: Not a directory/, wrongKind],
  [
    /error mounting "([^"]+)" to rootfs at "[^"]+":.*no such file or directory/,
    (path) => `mount source missing: "${path}" does not exist on the node`,
  ],
  [
    /cannot access path .*: no such file or directory/,
    () => 'the sub-path of an image mount is not in that image',
  ],
  [
    /path (\S+) is mounted on .* but it is not a (shared|shared or slave) mount/,
    (path, kind) => `mount propagation: "${path}" is on no ${kind} mount (mount --make-rshared makes one)`,
  ],
  [/unable to find user (\S+):/, (user) => `user "${user}" is not in the image's /etc/passwd`],
  [/unable to find group (\S+):/, (group) => `group "${group}" is not in the image's /etc/group`],
  [/adding custom device "([^"]+)"/, (path) => `device missing: "${path}" is no device of the node`],
  [
    /unresolvable CDI devices (.+)/,
    (names) => `CDI device unknown: no specification on the node names ${names}`,
  ],
  [/open \/proc\/sys\/(\S+): no such file/, (name) => `sysctl unknown: ${name.replaceAll('/', '.')}`],
  [
    /runtime "([^"]+)" binary not installed "([^"]+)"/,
    (name, file) => `runtime "${name}" is not installed: dockerd finds no ${file} in its PATH`,
  ],
];

/** Words of every failure, on the way from the runtime to the Engine's answer: they tell nothing. */
const NOISE =
  /^(failed to create task for container: |failed to create shim task: |OCI runtime create failed: |runc create failed: |unable to start container process: )+/;

/**
 * The Engine's text about a failed start, led by its meaning where it is known. For people only: nothing is decided by
 * it, so a text that an Engine words in a new way loses no more than the explanation.
 */
export function explainStartError(text: string): string {
  const plain = text.replace(NOISE, '').replace(/: unknown$/, '');
  for (const [pattern, meaning] of CAUSES) {
    const match = pattern.exec(plain);
    if (match !== null) return `${meaning(...match.slice(1))} (${plain})`;
  }
  return plain;
}

function commandNotFound(file: string): string {
  return `command not found: "${file}" is not in the image`;
}

function wrongKind(source: string, target: string): string {
  return `cannot mount "${source}" on "${target}": one is a directory and the other is not`;
}
