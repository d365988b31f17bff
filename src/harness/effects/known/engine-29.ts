import type { Explanation } from '../explanation';

const BEFORE = ['docker < 29', 'containerd'];

/** Differences between Engine 29 and both older Engines and containerd's own CRI. */
export const ENGINE_29: readonly Explanation[] = BEFORE.flatMap((runtime): Explanation[] => [
  {
    effect: 'exec.umask',
    sides: [
      { runtime: 'docker >= 29', value: /^0000$/ },
      { runtime, value: /^0022$/ },
    ],
    because:
      "dockerd 29 runs with the umask 0000, and a containerd that dockerd starts inherits it, as do commands run by exec. A container's own process has 0022. If containerd is a service of its own, as in Docker's packages, exec has the umask of that service.",
    advice:
      'With 0000, every user in the container can write to files that such a command creates. Run containerd as a service of its own, or set the umask in the command.',
  },
  {
    effect: 'namespace time',
    sides: [
      { runtime: 'docker >= 29', value: /^own$/ },
      { runtime, value: /^node$/ },
    ],
    because:
      "Engine 29 creates a time namespace for each container if the kernel and runc support time namespaces. Its clocks equal the node's.",
    advice: 'There is nothing to do, because nothing shifts these clocks.',
  },
]);
