import { appendFile, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Journal } from '../../../../src/migrate/apply/journal';
import { BashRunner, type Outcome } from '../../../../src/migrate/apply/runner';
import type { Step } from '../../../../src/migrate/plan/step';
import { FakePlan, logged } from './fake-plan';

let fake: FakePlan;
beforeEach(async () => (fake = await FakePlan.create()));
afterEach(() => fake.remove());

const log = async () => (await readFile(fake.path('log'), 'utf8').catch(() => '')).split('\n').slice(0, -1);
const text = (name: string) => readFile(fake.path(name), 'utf8').catch(() => undefined);

const FILES = [
  { name: 'conf', step: 'edit', before: 'old', after: 'new' },
  { name: 'more', step: 'edit', after: 'new' },
];

/** Steps such as those of a real plan: a backup, files, a service. */
function steps(): Step[] {
  const [conf, more, backup, service] = ['conf', 'more', 'backup', 'service'].map((name) => fake.path(name));
  return [
    logged(fake, 'backup', {
      commands: [`cp ${conf} ${backup}.part`, `mv ${backup}.part ${backup}`],
      check: [],
      undo: [],
    }),
    logged(fake, 'edit', {
      commands: [`install files${conf} ${conf}`, `install files${more} ${more}`],
      check: [],
      undo: [`rm -f ${more}`, `cp ${backup} ${conf}`],
    }),
    logged(fake, 'start', { commands: [`echo on > ${service}`], check: [], undo: [`rm -f ${service}`] }),
  ];
}

const state = async () => [await text('conf'), await text('more'), await text('service')];
const BEFORE = ['old', undefined, undefined];
const AFTER = ['new', 'new', 'on\n'];

describe('rollback', () => {
  it('takes the steps back in reverse order, and apply goes forward again', async () => {
    await fake.write(['a', 'b', 'c'].map((id) => logged(fake, id)));
    await fake.apply();
    expect([await fake.rollback(), fake.stderr]).toEqual([0, '']);
    expect(await log()).toEqual(['a', 'b', 'c', 'undo c', 'undo b', 'undo a']);
    expect(fake.stdout).toContain('3 steps taken back.');
    await fake.apply();
    expect((await log()).slice(6)).toEqual(['a', 'b', 'c']);
  });

  it('takes back down to the step that --step names, and nothing twice', async () => {
    await fake.write(['a', 'b', 'c'].map((id) => logged(fake, id)));
    await fake.apply();
    expect(await fake.rollback({ step: 'b' })).toBe(0);
    expect(await fake.rollback({ step: '2' })).toBe(0);
    expect(fake.stdout).toBe('There is nothing to take back.\n');
    expect(await log()).toEqual(['a', 'b', 'c', 'undo c', 'undo b']);
  });

  it('takes back a step that has failed', async () => {
    await fake.write([logged(fake, 'a'), logged(fake, 'b', { commands: ['false'] })]);
    expect(await fake.apply()).toBe(1);
    expect(await fake.rollback()).toBe(0);
    expect(await log()).toEqual(['a', 'undo b', 'undo a']);
  });

  it('stops at an undo that fails, and continues when it is run again', async () => {
    const undo = [`test -e ${fake.path('ready')}`, `echo undo b >> ${fake.path('log')}`];
    await fake.write([logged(fake, 'a'), logged(fake, 'b', { undo })]);
    await fake.apply();
    expect(await fake.rollback()).toBe(1);
    expect(fake.stderr).toContain('the undo of the step b failed: a command failed: exit code 1');
    expect(fake.stderr).toContain(`continue:  dockbridge migrate rollback --plan ${fake.plan}`);
    await fake.put('ready', '');
    expect(await fake.rollback()).toBe(0);
    expect(await log()).toEqual(['a', 'b', 'undo b', 'undo a']);
  });

  it('leaves out an undo on demand', async () => {
    await fake.write([logged(fake, 'a'), logged(fake, 'b', { undo: ['false'] })]);
    await fake.apply();
    expect(await fake.rollback({ skip: ['b'] })).toBe(0);
    expect(await log()).toEqual(['a', 'b', 'undo a']);
  });

  it('brings the files back, forward again and back again', async () => {
    await fake.write(steps(), FILES);
    for (let round = 0; round < 2; round++) {
      expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
      expect(await state()).toEqual(AFTER);
      expect([await fake.rollback(), fake.stderr]).toEqual([0, '']);
      expect(await state()).toEqual(BEFORE);
    }
  });

  it('fails when a file is not as it was before', async () => {
    const wrong = steps().map((step) => (step.id === 'edit' ? { ...step, undo: ['true'] } : step));
    await fake.write(wrong, FILES);
    await fake.apply();
    expect(await fake.rollback()).toBe(1);
    expect(fake.stderr).toContain(`${fake.path('conf')} has another text`);
    expect(fake.stderr).toContain(`${fake.path('more')} exists`);
  });

  it('keeps a copy of a file that somebody has changed since', async () => {
    await fake.write(steps(), FILES);
    await fake.apply();
    await fake.put('conf', 'mine');
    expect(await fake.rollback()).toBe(0);
    expect(await text('conf')).toBe('old');
    expect(await readFile(join(fake.plan, 'replaced', fake.path('conf')), 'utf8')).toBe('mine');
  });
});

/** What a killed process does: it does nothing more. */
class Killed extends Error {}

/** Counts what is done, and kills the process before the `at`-th of them. */
class Killer {
  hasKilled = false;
  private count = 0;
  private readonly spies: readonly { mockRestore(): void }[];

  constructor(private readonly at: number) {
    const kill = (): void => this.kill();
    const write = original(Journal.prototype, 'write') as Write;
    const run = original(BashRunner.prototype, 'run') as Run;
    this.spies = [
      jest.spyOn(Journal.prototype, 'write').mockImplementation(async function (this: Journal, ...args) {
        kill();
        return write.apply(this, args);
      }),
      jest.spyOn(BashRunner.prototype, 'run').mockImplementation(async function (this: BashRunner, ...args) {
        kill();
        return run.apply(this, args);
      }),
    ];
  }

  end(): void {
    for (const spy of this.spies) spy.mockRestore();
  }

  private kill(): void {
    if (!this.hasKilled && this.count++ !== this.at) return;
    this.hasKilled = true;
    throw new Killed('killed');
  }
}
type Write = (this: Journal, ...args: Parameters<Journal['write']>) => Promise<void>;
type Run = (this: BashRunner, ...args: Parameters<BashRunner['run']>) => Promise<Outcome>;

/** The method of a class, which the tests call for an object of it. */
function original(prototype: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)?.value;
}

describe('a kill', () => {
  beforeEach(() => fake.write(steps(), FILES));

  /** Runs `work` again and again, and kills it one action later each time, until it comes to its end. */
  async function everywhere(
    prepare: () => Promise<unknown>,
    work: () => Promise<number>,
    afterKill: () => Promise<void>,
  ): Promise<number> {
    for (let at = 0; ; at++) {
      await prepare();
      const killer = new Killer(at);
      const code = await work();
      killer.end();
      if (!killer.hasKilled) {
        expect(code).toBe(0);
        return at;
      }
      await afterKill();
      await fake.write(steps(), FILES);
      for (const name of ['more', 'service', 'backup']) await fake.forget(name);
    }
  }
  const nothing = () => Promise.resolve();

  it('of apply at any point lets apply continue', async () => {
    const points = await everywhere(
      nothing,
      () => fake.apply(),
      async () => {
        expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
        expect(await state()).toEqual(AFTER);
      },
    );
    expect(points).toBeGreaterThan(12);
  });

  it('of apply at any point lets rollback go back, and apply forward again', async () => {
    const points = await everywhere(
      nothing,
      () => fake.apply(),
      async () => {
        expect([await fake.rollback(), fake.stderr]).toEqual([0, '']);
        expect(await state()).toEqual(BEFORE);
        expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
        expect(await state()).toEqual(AFTER);
      },
    );
    expect(points).toBeGreaterThan(12);
  });

  it.each(['rollback', 'apply'] as const)('of rollback at any point lets %s continue', async (next) => {
    const points = await everywhere(
      () => fake.apply(),
      () => fake.rollback(),
      async () => {
        expect([await fake[next](), fake.stderr]).toEqual([0, '']);
        expect(await state()).toEqual(next === 'apply' ? AFTER : BEFORE);
      },
    );
    expect(points).toBeGreaterThan(9);
  });

  it.each([
    ['apply', AFTER],
    ['rollback', BEFORE],
  ] as const)('in the middle of a file lets %s continue', async (next, after) => {
    const killer = new Killer(8);
    await fake.apply();
    killer.end();
    expect(killer.hasKilled).toBe(true);
    await fake.put('conf', 'ne');
    await fake.put('more', '');
    expect([await fake[next](), fake.stderr]).toEqual([0, '']);
    expect((await state()).slice(0, 2)).toEqual(after.slice(0, 2));
  });

  it('in the middle of a line of the journal lets apply continue', async () => {
    await fake.apply({ step: 'edit' });
    const journal = join(fake.plan, 'journal.ndjson');
    await appendFile(journal, '{"at":"2026-01-01T00:00:00Z","event":"beg');
    expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
    // The torn line is the last one that was written, whichever it was.
    const { length } = await readFile(journal, 'utf8');
    await truncate(journal, length - 3);
    expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
    expect(await state()).toEqual(AFTER);
    for (const line of (await readFile(journal, 'utf8')).trimEnd().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ event: expect.any(String) as string });
  });
});
