import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { engineDirectory } from '../integration/support/engine';

const TICKS_PER_SECOND = 100;

/** Returns the seconds of processor time, user and system, of all threads so far. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export interface Resources {
  /** The resident memory in MiB. */
  readonly memory: number;
  readonly descriptors: number;
}

export async function resourcesOf(pid: number): Promise<Resources> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
  return { memory: kibibytes / 1024, descriptors: (await readdir(`/proc/${pid}/fd`)).length };
}

/** Returns the pid of the Engine that the bench runs on. */
export async function dockerdPid(): Promise<number> {
  const name = process.env.DOCKBRIDGE_TEST_ENGINE_NAME;
  if (name === undefined) throw new Error("the bench needs an Engine of its own, to read dockerd's CPU");
  const recorded = await readFile(join(engineDirectory(name), 'state/dockerd'), 'utf8');
  return Number(recorded.split(' ')[0]);
}

/** Returns the pids of this Engine's containerd and shims, which do part of dockerd's work. */
export async function containerdPids(): Promise<number[]> {
  const own = engineDirectory(process.env.DOCKBRIDGE_TEST_ENGINE_NAME ?? '');
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return pids
    .filter((_, at) => {
      const line = lines[at] ?? '';
      return line.includes(own) && (line.split('\0')[0] ?? '').includes('containerd');
    })
    .map(Number);
}
