import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { apply, type ApplyCommand } from '../../../../src/cli/migrate/apply';
import { rollback } from '../../../../src/cli/migrate/rollback';
import type { PlanCommandOptions } from '../../../../src/cli/migrate/with-plan';
import { fileHashes } from '../../../../src/migrate/apply/file-hashes';
import type { PlanOnDisk } from '../../../../src/migrate/apply/read-plan';
import { succeeds } from '../../../../src/migrate/plan/check';
import { sha256 } from '../../../../src/migrate/plan/sha256';
import { step, type Step } from '../../../../src/migrate/plan/step';

export const HOST = 'n1';

/** A file that a plan replaces or makes. */
export interface FakeFile {
  /** Below the directory of the node. */
  readonly name: string;
  readonly step: string;
  /** undefined for a new file. */
  readonly before?: string;
  readonly after: string;
}

/** A node and a plan for it in a directory of their own. */
export class FakePlan {
  /** The directory of the node's files. */
  readonly node: string;
  readonly plan: string;
  /** More files that the inventory would find. */
  found: string[] = [];
  /** Called with each line of output. */
  onLine: (line: string) => void = () => undefined;
  interrupt = new AbortController();
  stdout = '';
  stderr = '';

  private constructor(readonly scratch: string) {
    this.node = join(scratch, 'node');
    this.plan = join(scratch, 'plan');
  }

  static async create(): Promise<FakePlan> {
    const fake = new FakePlan(await mkdtemp(join(tmpdir(), 'migrate-apply-')));
    await mkdir(fake.node);
    // The tests run with or without root. Only root can be the owner of a plan.
    jest.spyOn(process, 'geteuid').mockReturnValue(0);
    for (const stream of ['stdout', 'stderr'] as const)
      jest.spyOn(process[stream], 'write').mockImplementation((text) => {
        fake[stream] += String(text);
        fake.onLine(String(text));
        return true;
      });
    return fake;
  }

  async remove(): Promise<void> {
    jest.restoreAllMocks();
    await rm(this.scratch, { recursive: true });
  }

  path(name: string): string {
    return join(this.node, name);
  }

  /** Writes the files from before and the plan. */
  async write(steps: readonly Step[], files: readonly FakeFile[] = [], more: object = {}): Promise<void> {
    await rm(this.plan, { recursive: true, force: true });
    await mkdir(this.plan, { mode: 0o700 });
    for (const { name, before, after } of files) {
      if (before !== undefined) await this.put(name, before);
      const source = join(this.plan, 'files', this.path(name));
      await mkdir(dirname(source), { recursive: true });
      await writeFile(source, after);
    }
    const json = {
      v: 1,
      version: '1',
      target: 'containerd',
      hostname: HOST,
      origin: 'test',
      accepted: [],
      findings: [],
      inventory: Object.fromEntries(
        files.flatMap(({ name, before }) =>
          before === undefined ? [] : [[this.path(name), sha256(before)]],
        ),
      ),
      files: files.map(({ name, step: id, before, after }) => ({
        path: this.path(name),
        mode: '0644',
        owner: '0:0',
        step: id,
        source: `files${this.path(name)}`,
        patch: null,
        sha256Before: before === undefined ? null : sha256(before),
        sha256After: sha256(after),
      })),
      steps,
      ...more,
    };
    await writeFile(join(this.plan, 'plan.json'), JSON.stringify(json), { mode: 0o600 });
    await chmod(this.plan, 0o700);
  }

  async put(name: string, text: string): Promise<void> {
    await mkdir(dirname(this.path(name)), { recursive: true });
    await writeFile(this.path(name), text);
  }

  async forget(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  async apply(options: Partial<ApplyCommand> = {}): Promise<number> {
    this.clear();
    return apply({ ...this.options(), drained: false, acceptChange: [], ...options }, this.overrides());
  }

  async rollback(options: Partial<PlanCommandOptions> = {}): Promise<number> {
    this.clear();
    return rollback({ ...this.options(), ...options }, this.overrides());
  }

  overrides() {
    return {
      claims: join(this.scratch, 'claims'),
      dockbridge: ['echo', 'dockbridge'],
      hostname: () => Promise.resolve(HOST),
      present: ({ inventory, files }: PlanOnDisk) =>
        fileHashes([...Object.keys(inventory), ...files.map(({ path }) => path), ...this.found]),
      againMs: 5,
      signal: this.interrupt.signal,
    };
  }

  private options(): PlanCommandOptions {
    return { plan: this.plan, systemctl: 'systemctl', skip: [] };
  }

  private clear(): void {
    this.stdout = '';
    this.stderr = '';
  }
}

/** A step that writes its id into a file of the node's log, and takes it back with another line. */
export function logged(fake: FakePlan, id: string, more: Partial<Step> = {}): Step {
  const log = fake.path('log');
  return step(id, `The step ${id}`, '', {
    commands: [`echo ${id} >> ${log}`],
    check: [succeeds(`grep -qx ${id} ${log}`)],
    undo: [`echo undo ${id} >> ${log}`],
    ...more,
  });
}
