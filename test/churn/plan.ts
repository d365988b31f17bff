import type { Random } from './random';

/** What one container does, and what the driver does with it. */
export interface ContainerPlan {
  readonly name: string;
  /** The container first writes this many numbered lines to each of its streams. */
  readonly lines: number;
  /** The container ends by itself with this code; undefined means that it runs until it is stopped. */
  readonly exitCode: number | undefined;
  readonly exec: boolean;
  /** An ExecSync that never ends by itself, with a timeout of a second. */
  readonly hungExec: boolean;
  readonly update: boolean;
  readonly rotate: boolean;
}

/** One pod's life. */
export interface LifePlan {
  readonly number: number;
  readonly hostPort: number | undefined;
  readonly containers: readonly ContainerPlan[];
  /** Containers are removed one by one before their sandbox, as kubelet's garbage collection does. */
  readonly removesContainers: boolean;
}

const FIRST_HOST_PORT = 21_000;
const MOST_LINES = 400;

export function planLife(number: number, random: Random): LifePlan {
  const containers = Array.from({ length: 1 + random.below(3) }, (_, at): ContainerPlan => {
    const ends = random.chance(0.5);
    return {
      name: `c${at}`,
      lines: random.below(MOST_LINES),
      exitCode: ends ? random.pick([0, 1, 7, 42]) : undefined,
      exec: !ends && random.chance(0.5),
      hungExec: !ends && random.chance(0.2),
      update: !ends && random.chance(0.3),
      rotate: random.chance(0.3),
    };
  });
  return {
    number,
    hostPort: random.chance(0.4) ? FIRST_HOST_PORT + number : undefined,
    containers,
    removesContainers: random.chance(0.3),
  };
}

/**
 * Returns the shell script of a container. It writes `o N` and `e N` to its two streams, with a short pause
 * after every twenty lines.
 */
export function scriptOf({ lines, exitCode }: ContainerPlan): string {
  const write = 'echo "o $i"; echo "e $i" >&2; i=$((i+1)); [ $((i % 20)) != 0 ] || sleep 0.1';
  const end = exitCode === undefined ? 'exec sleep 100000' : `exit ${exitCode}`;
  return `i=0; while [ $i -lt ${lines} ]; do ${write}; done; ${end}`;
}

/** Returns what a container writes to one stream if nothing kills it. */
export function expectedLines({ lines }: ContainerPlan, stream: 'stdout' | 'stderr'): string[] {
  return Array.from({ length: lines }, (_, at) => `${stream === 'stdout' ? 'o' : 'e'} ${at}`);
}

const FIRST_HUNG_SECONDS = 5_000_000 + (process.pid % 100_000) * 10_000;

/** The argument of `sleep` in hung ExecSyncs, which identifies this run's processes. */
export function hungExecSeconds(life: number): string {
  return String(FIRST_HUNG_SECONDS + life);
}

export function isHungExec([command, seconds]: readonly string[]): boolean {
  const life = Number(seconds) - FIRST_HUNG_SECONDS;
  return command === 'sleep' && life >= 0 && life < 10_000;
}
