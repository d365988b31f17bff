import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A directory that stands for a machine with cgroup v2. It has /proc and the cgroup of a container with a
 * few empty files.
 */
export class V2Machine {
  private readonly root = mkdtempSync(join(tmpdir(), 'v2-machine-'));
  readonly proc = join(this.root, 'proc');
  readonly group: string;

  constructor(id: string, pid: number, files: readonly string[]) {
    this.group = join(this.root, 'cgroup/kubepods/pod1', id);
    for (const directory of [join(this.proc, 'self'), join(this.proc, String(pid)), this.group])
      mkdirSync(directory, { recursive: true });
    const mount = `30 1 0:26 / ${join(this.root, 'cgroup')} rw - cgroup2 cgroup rw\n`;
    writeFileSync(join(this.proc, 'self/mountinfo'), mount);
    writeFileSync(join(this.proc, String(pid), 'cgroup'), `0::/kubepods/pod1/${id}\n`);
    writeFileSync(join(this.proc, String(pid), 'stat'), `${pid} (a) Z b) S 1 ${pid}`);
    for (const name of files) this.write(name, '');
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.group, file), text);
  }

  read(file: string): string {
    return readFileSync(join(this.group, file), 'utf8');
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }
}
