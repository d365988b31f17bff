import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { forPerson, prints, succeeds } from '../../../../src/migrate/plan/check';
import { FakePlan, logged } from './fake-plan';

let fake: FakePlan;
beforeEach(async () => (fake = await FakePlan.create()));
afterEach(() => fake.remove());

const log = async () => (await readFile(fake.path('log'), 'utf8').catch(() => '')).split('\n').slice(0, -1);
const text = (name: string) => readFile(fake.path(name), 'utf8').catch(() => undefined);

describe('apply', () => {
  it('does the steps in their order, and each one once', async () => {
    await fake.write(['a', 'b'].map((id) => logged(fake, id)));
    expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
    expect(await fake.apply()).toBe(0);
    expect(await log()).toEqual(['a', 'b']);
  });

  it('ends after the step that --step names by number or id, and continues later', async () => {
    await fake.write(['a', 'b', 'c'].map((id) => logged(fake, id)));
    expect(await fake.apply({ step: 'a' })).toBe(0);
    expect(await log()).toEqual(['a']);
    expect(await fake.apply({ step: '2' })).toBe(0);
    expect(await log()).toEqual(['a', 'b']);
    expect(fake.stdout).toContain(`Continue with: dockbridge migrate apply --plan ${fake.plan}`);
    await fake.apply();
    expect(await log()).toEqual(['a', 'b', 'c']);
  });

  it('refuses a step that the plan does not have, and does nothing', async () => {
    await fake.write([logged(fake, 'a')]);
    expect(await fake.apply({ step: '2' })).toBe(1);
    expect(fake.stderr).toContain('--step 2: the plan has the steps 1 to 1');
    expect(await fake.apply({ skip: ['b'] })).toBe(1);
    expect(fake.stderr).toContain('--skip b: the plan has the steps 1 to 1');
    expect(await log()).toEqual([]);
  });

  it('stops at a command that fails, shows its output, and says how to go on', async () => {
    await fake.write([
      logged(fake, 'a', { commands: ['echo one; echo two >&2; false | true'] }),
      logged(fake, 'b'),
    ]);
    expect(await fake.apply()).toBe(1);
    expect(fake.stdout).toMatch(/one\n[\s\S]*two\n|two\n[\s\S]*one\n/);
    expect(fake.stderr).toContain(
      'the step a failed: a command failed: exit code 1\n    $ echo one; echo two >&2; false | true\n',
    );
    expect(fake.stderr).toContain(`continue:  dockbridge migrate apply --plan ${fake.plan}`);
    expect(fake.stderr).toContain(`go back:   dockbridge migrate rollback --plan ${fake.plan}`);
    expect(await log()).toEqual([]);
  });

  it('does a failed step again when it is run again', async () => {
    const steps = [
      logged(fake, 'a', { commands: [`test -e ${fake.path('ready')}`, `echo a >> ${fake.path('log')}`] }),
    ];
    await fake.write(steps);
    expect(await fake.apply()).toBe(1);
    await fake.put('ready', '');
    expect(await fake.apply()).toBe(0);
    expect(await log()).toEqual(['a']);
  });

  it('stops at a check that does not succeed, and shows what the check printed', async () => {
    const check = [prints('echo inactive; exit 3', 'active', { note: 'active' })];
    await fake.write([logged(fake, 'a', { check }), logged(fake, 'b')]);
    expect(await fake.apply()).toBe(1);
    expect(fake.stderr).toContain(
      'a check did not succeed: expected: active\n    $ echo inactive; exit 3\n    inactive',
    );
    expect(await log()).toEqual(['a']);
  });

  it('waits for a check that succeeds later', async () => {
    const count = fake.path('count');
    const check = [succeeds(`echo >> ${count}; test "$(wc -l < ${count})" = 3`, { withinSeconds: 60 })];
    await fake.write([logged(fake, 'a', { check })]);
    expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
    expect(await text('count')).toBe('\n\n\n');
  });

  it('shows checks for a person, and does not run them', async () => {
    await fake.write([logged(fake, 'a', { check: [forPerson(`touch ${fake.path('ran')}`, 'a note')] })]);
    expect(await fake.apply()).toBe(0);
    expect(fake.stdout).toContain(`to look at: touch ${fake.path('ran')}   # a note`);
    expect(await text('ran')).toBeUndefined();
  });

  it('skips a step that its checks show as done, and never takes it back', async () => {
    await fake.put('log', 'a\n');
    await fake.write([logged(fake, 'a', { isDoneWhenChecked: true }), logged(fake, 'b')]);
    await fake.apply();
    expect(await log()).toEqual(['a', 'b']);
    expect(fake.stdout).toContain('nothing to do: its checks succeed already');
    await fake.rollback();
    expect(await log()).toEqual(['a', 'b', 'undo b']);
  });

  it('leaves out a step on demand', async () => {
    await fake.write([logged(fake, 'a', { commands: ['false'] }), logged(fake, 'b')]);
    expect(await fake.apply({ skip: ['1'] })).toBe(0);
    expect(await log()).toEqual(['b']);
  });

  it('never does a step that is left to a person, and shows it at the end', async () => {
    const reboot = logged(fake, 'reboot', { commands: ['echo never'], isManual: true });
    await fake.write([logged(fake, 'a'), reboot]);
    expect(await fake.apply()).toBe(0);
    expect(await log()).toEqual(['a']);
    expect(fake.stdout).toMatch(
      /What remains for you, in this order:\n\[2\/2\] The step reboot \(reboot\)\n {4}echo never\n/,
    );
  });

  it('fails when a step leaves a file as the plan does not want it', async () => {
    await fake.write([logged(fake, 'a')], [{ name: 'conf', step: 'a', before: 'old', after: 'new' }]);
    expect(await fake.apply()).toBe(1);
    expect(fake.stderr).toContain(`${fake.path('conf')} has another text than the plan wants`);
  });

  it('runs the commands in the directory of the plan, with its own programs', async () => {
    const commands = [
      `pwd > ${fake.path('pwd')}`,
      `systemctl is-active "two words" > ${fake.path('systemctl')}`,
      `dockbridge migrate images > ${fake.path('dockbridge')}`,
      `test ! -t 0 && cat > ${fake.path('stdin')}`,
    ];
    await fake.write([logged(fake, 'a', { commands, check: [] })]);
    expect([await fake.apply({ systemctl: 'echo' }), fake.stderr]).toEqual([0, '']);
    expect(await text('pwd')).toBe(`${fake.plan}\n`);
    expect(await text('systemctl')).toBe('is-active two words\n');
    expect(await text('dockbridge')).toBe('dockbridge migrate images\n');
    expect(await text('stdin')).toBe('');
  });

  it('ends although a service that a command has started holds its output', async () => {
    await fake.write([
      logged(fake, 'a', { commands: [`sleep 60 & echo $! > ${fake.path('pid')}`], check: [] }),
    ]);
    try {
      expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
    } finally {
      process.kill(Number(await text('pid')));
    }
  });

  it('ends a command that takes too long', async () => {
    await fake.write([logged(fake, 'a', { commands: ['sleep 60'], limitSeconds: 1 })]);
    expect(await fake.apply()).toBe(1);
    expect(fake.stderr).toContain('a command failed: it took longer than 1 s');
  });

  it('ends the command when the user interrupts it, and continues when it is run again', async () => {
    const commands = [
      `echo begun; test -e ${fake.path('ready')} || sleep 60`,
      `echo a >> ${fake.path('log')}`,
    ];
    await fake.write([logged(fake, 'a', { commands })]);
    fake.onLine = (line) => {
      if (line.trim() === 'begun') fake.interrupt.abort(new Error('ended by SIGINT'));
    };
    expect(await fake.apply()).toBe(130);
    expect(fake.stderr).toContain('continue:  dockbridge migrate apply');
    expect(await log()).toEqual([]);
    fake.interrupt = new AbortController();
    fake.onLine = () => undefined;
    await fake.put('ready', '');
    expect([await fake.apply(), fake.stderr]).toEqual([0, '']);
    expect(await log()).toEqual(['a']);
  });
});

describe('the steps of the cluster', () => {
  const cluster = (id: string) =>
    logged(fake, id, {
      place: 'cluster',
      commands: [`echo "${id} $KUBECONFIG" >> ${fake.path('log')}`],
      check: [],
    });
  const steps = () => [logged(fake, 'images'), cluster('drain'), logged(fake, 'stop'), cluster('annotate')];

  it('are printed without a kubeconfig, and nothing is done until the node is drained', async () => {
    await fake.write(steps());
    expect(await fake.apply()).toBe(4);
    expect(await log()).toEqual(['images']);
    expect(fake.stdout).toContain('    echo "drain $KUBECONFIG"');
    expect(fake.stdout).toContain(`Then: dockbridge migrate apply --plan ${fake.plan} --drained\n`);
    expect(await fake.apply({ drained: true })).toBe(0);
    expect(await log()).toEqual(['images', 'stop']);
    expect(fake.stdout).toContain('[4/4] The step annotate (annotate)\n    echo "annotate $KUBECONFIG"');
  });

  it('are done with a kubeconfig, also when they were printed before', async () => {
    await fake.write(steps());
    await fake.apply({ drained: true });
    await fake.put('kubeconfig', '');
    const kubeconfig = fake.path('kubeconfig');
    expect([await fake.apply({ kubeconfig }), fake.stderr]).toEqual([0, '']);
    expect(await log()).toEqual(['images', 'stop', `annotate ${kubeconfig}`]);
    expect(fake.stdout).not.toContain('What remains');
  });

  it('are printed by rollback without a kubeconfig', async () => {
    await fake.write(steps());
    await fake.apply({ drained: true });
    expect(await fake.rollback()).toBe(0);
    expect(await log()).toEqual(['images', 'stop', 'undo stop', 'undo images']);
    expect(fake.stdout).toMatch(
      /Run these lines where kubectl reaches the cluster.*\n {4}echo undo annotate.*\n {4}echo undo drain/,
    );
    expect(await fake.apply()).toBe(4);
  });

  it('need a kubeconfig that can be read', async () => {
    await fake.write(steps());
    expect(await fake.apply({ kubeconfig: fake.path('none') })).toBe(1);
    expect(fake.stderr).toContain(`--kubeconfig: ${fake.path('none')} cannot be read (ENOENT)`);
    expect(await log()).toEqual([]);
  });
});

describe('the refusal of apply', () => {
  const FILES = [
    { name: 'conf', step: 'b', before: 'old', after: 'new' },
    { name: 'more', step: 'b', after: 'new' },
  ];
  const install = () => FILES.map(({ name }) => `install -m 0644 files${fake.path(name)} ${fake.path(name)}`);
  const steps = () => [logged(fake, 'a'), logged(fake, 'b', { commands: install(), check: [] })];

  beforeEach(() => fake.write(steps(), FILES));

  it.each([
    ['conf', 'other', 'has changed'],
    ['more', 'other', 'is new'],
  ])('names the file %s, which was changed before the first step', async (name, content, what) => {
    await fake.put(name, content);
    expect(await fake.apply()).toBe(3);
    expect(fake.stderr).toContain(`\n  ${fake.path(name)} ${what}\n`);
    expect(fake.stderr).toContain('Make a new plan');
    expect(await log()).toEqual([]);
    expect(await fake.apply({ acceptChange: [fake.path(name)] })).toBe(0);
  });

  it('names a new file that the inventory would read, until the first step', async () => {
    await fake.put('added', '');
    fake.found = [fake.path('added')];
    expect(await fake.apply()).toBe(3);
    expect(fake.stderr).toContain(`${fake.path('added')} is new`);
    fake.found = [];
    await fake.apply({ step: 'a' });
    fake.found = [fake.path('added')];
    expect(await fake.apply()).toBe(0);
  });

  it('names a file that was changed after its step, as long as there are steps to do', async () => {
    await fake.write([...steps(), logged(fake, 'c')], FILES);
    expect(await fake.apply({ step: 'b' })).toBe(0);
    await fake.put('conf', 'old');
    expect(await fake.apply({ step: 'b' })).toBe(0);
    expect(await fake.apply()).toBe(3);
    expect(fake.stderr).toContain(`${fake.path('conf')} has changed`);
    expect(fake.stderr).toContain('dockbridge migrate rollback');
  });

  it.each([
    ['another version', { v: 2 }, 'plan.json has version 2, and this dockbridge reads version 1'],
    ['another node', { hostname: 'n2' }, 'the plan is for the node n2, and this is n1'],
  ])('names %s', async (_, more, message) => {
    await fake.write(steps(), FILES, more);
    expect(await fake.apply()).toBe(3);
    expect(fake.stderr).toContain(message);
  });

  it('names a file of the plan that somebody has changed', async () => {
    await writeFile(join(fake.plan, 'files', fake.path('conf')), 'evil');
    expect(await fake.apply()).toBe(3);
    expect(fake.stderr).toContain('was changed since the plan was made');
    // The way back does not need these files.
    expect(await fake.rollback()).toBe(0);
  });

  it('names a plan that was changed after its first step', async () => {
    await fake.apply({ step: 'a' });
    const path = join(fake.plan, 'plan.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('The step b', 'Something else'));
    expect(await fake.apply()).toBe(3);
    expect(fake.stderr).toContain('plan.json was changed after a part of the plan was done');
  });

  it('writes nothing into the directory of a plan of another node', async () => {
    await fake.write(steps(), FILES, { hostname: 'n2' });
    await fake.apply();
    expect((await readdir(fake.plan)).sort()).toEqual(['files', 'plan.json']);
  });
});
