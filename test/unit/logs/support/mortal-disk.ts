import * as fs from 'node:fs';
import { nodeLogDisk, type LogDisk } from '../../../../src/logs/log-disk';

export class Killed extends Error {}

/**
 * The moment at which the process dies: before the fatal call, halfway through it, or after its work but before
 * it returns.
 */
export type Moment = 'before' | 'halfway' | 'after';

/** A real disk whose user dies at the n-th call that changes something. From then on, calls throw `Killed`. */
export class MortalDisk implements LogDisk {
  changes = 0;
  dead = false;
  private readonly fds = new Set<number>();

  constructor(
    private readonly fatal = Infinity,
    private readonly moment: Moment = 'before',
  ) {}

  openRead(path: string): number {
    return this.opened(this.alive(() => nodeLogDisk.openRead(path)));
  }
  inDirectory<T>(...[directory, mayCreate, work]: Parameters<typeof nodeLogDisk.inDirectory<T>>): T {
    return this.alive(() => nodeLogDisk.inDirectory(directory, mayCreate, work));
  }
  openExisting(path: string): number | undefined {
    const fd = this.alive(() => nodeLogDisk.openExisting(path));
    return fd === undefined ? undefined : this.opened(fd);
  }
  linkAt(path: string): string | undefined {
    return this.alive(() => nodeLogDisk.linkAt(path));
  }
  rename(from: string, to: string): void {
    this.change(() => nodeLogDisk.rename(from, to));
  }
  openAppend(path: string): number {
    return this.change(() => this.opened(nodeLogDisk.openAppend(path)));
  }
  read(fd: number, into: Uint8Array, length: number, position: number): number {
    return this.alive(() => nodeLogDisk.read(fd, into, length, position));
  }
  write(fd: number, from: Uint8Array, offset: number, length: number): number {
    return this.change(
      () => nodeLogDisk.write(fd, from, offset, length),
      () => nodeLogDisk.write(fd, from, offset, Math.ceil(length / 2)),
    );
  }
  truncate(fd: number, size: number): void {
    this.change(() => nodeLogDisk.truncate(fd, size));
  }
  close(fd: number): void {
    this.fds.delete(fd);
    this.alive(() => nodeLogDisk.close(fd));
  }
  facts(fd: number): ReturnType<LogDisk['facts']> {
    return this.alive(() => nodeLogDisk.facts(fd));
  }
  inodeAt(path: string): string | undefined {
    return this.alive(() => nodeLogDisk.inodeAt(path));
  }
  factsAt(path: string): ReturnType<LogDisk['factsAt']> {
    return this.alive(() => nodeLogDisk.factsAt(path));
  }
  list(directory: string): readonly string[] {
    return this.alive(() => nodeLogDisk.list(directory));
  }
  readText(path: string): string {
    return this.alive(() => nodeLogDisk.readText(path));
  }
  replace(path: string, text: string): void {
    this.change(
      () => nodeLogDisk.replace(path, text),
      () => fs.writeFileSync(`${path}.tmp`, text.slice(0, text.length / 2)),
    );
  }
  remove(path: string): void {
    this.change(() => nodeLogDisk.remove(path));
  }
  makeDirectory(path: string): void {
    nodeLogDisk.makeDirectory(path);
  }

  /** Closes the descriptors as the kernel does for a dead process. */
  bury(): void {
    for (const fd of this.fds) fs.closeSync(fd);
    this.fds.clear();
  }

  private opened(fd: number): number {
    this.fds.add(fd);
    return fd;
  }

  private alive<T>(call: () => T): T {
    if (this.dead) throw new Killed();
    return call();
  }

  private change<T>(call: () => T, half?: () => unknown): T {
    return this.alive(() => {
      if (++this.changes < this.fatal) return call();
      this.dead = true;
      if (this.moment === 'halfway') half?.();
      if (this.moment === 'after') call();
      throw new Killed();
    });
  }
}
