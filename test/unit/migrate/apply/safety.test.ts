import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exclusively, untilLastCommandEnds } from '../../../../src/migrate/apply/exclusive';
import { Journal, type JournalEntry } from '../../../../src/migrate/apply/journal';
import { checkPlace } from '../../../../src/migrate/apply/place';
import { processName } from '../../../../src/node/process/process-info';

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'apply-safety-'));
  await writeFile(join(scratch, 'plan.json'), '{}', { mode: 0o600 });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(scratch, { recursive: true });
});

const withRoot = process.geteuid?.() === 0 ? it : it.skip;

describe('checkPlace', () => {
  it('refuses anybody but root', async () => {
    jest.spyOn(process, 'geteuid').mockReturnValue(1000);
    await expect(checkPlace(scratch)).rejects.toThrow('need root');
  });

  it('refuses a directory that is not there', async () => {
    jest.spyOn(process, 'geteuid').mockReturnValue(0);
    await expect(checkPlace(join(scratch, 'none'))).rejects.toThrow('cannot be opened (ENOENT)');
  });

  withRoot('returns the directory behind a link', async () => {
    await symlink(scratch, join(scratch, 'link'));
    expect(await checkPlace(join(scratch, 'link'))).toBe(scratch);
  });

  withRoot.each([
    ['a directory of another user', async () => chown(scratch, 4_711, 0), 'belongs to the user 4711'],
    [
      'a plan of another user',
      async () => chown(join(scratch, 'plan.json'), 4_711, 0),
      'belongs to the user 4711',
    ],
    ['a directory that others can write', async () => chmod(scratch, 0o722), 'chmod go-w'],
    ['a plan that others can write', async () => chmod(join(scratch, 'plan.json'), 0o620), 'chmod go-w'],
    ['a directory that others can enter', async () => chmod(scratch, 0o755), 'chmod 700'],
    [
      'a plan that is a link',
      async () => {
        await rename(join(scratch, 'plan.json'), join(scratch, 'real'));
        await symlink('real', join(scratch, 'plan.json'));
      },
      'is a link',
    ],
  ])('refuses %s', async (_, change, message) => {
    await change();
    await expect(checkPlace(scratch)).rejects.toThrow(message);
  });
});

describe('exclusively', () => {
  const KEY = 'a991';

  it('refuses a second one, and names the first', async () => {
    const other = spawn('sleep', ['60']);
    try {
      const name = (await processName(other.pid!))!;
      await writeFile(join(scratch, [KEY, ...name.split(' ')].join('.')), 'dockbridge migrate rollback\n');
      await expect(exclusively('apply', () => Promise.resolve(1), scratch)).rejects.toThrow(
        'another apply or rollback is running on this node: dockbridge migrate rollback',
      );
    } finally {
      other.kill();
      await once(other, 'exit');
    }
    await expect(exclusively('apply', () => Promise.resolve(1), scratch)).resolves.toBe(1);
    await expect(exclusively('apply', () => Promise.resolve(2), scratch)).resolves.toBe(2);
  });
});

describe('untilLastCommandEnds', () => {
  const entries = (detail: string): JournalEntry[] => [{ at: '', step: 'a', event: 'command', detail }];

  it('waits for the command of a killed run', async () => {
    const orphan = spawn('sleep', ['60']);
    const said: string[] = [];
    const journal = { entries: entries((await processName(orphan.pid!))!) };
    const exit = once(orphan, 'exit').then(() => said.push('exit'));
    await untilLastCommandEnds(journal, new AbortController().signal, (line) => {
      said.push(line);
      orphan.kill();
    });
    await exit;
    expect(said).toEqual([expect.stringContaining(`process ${orphan.pid}`), 'exit']);
  });

  it('does not wait for another process of the same number', async () => {
    const said: string[] = [];
    const journal = { entries: entries(`${process.pid} 1 another-boot`) };
    await untilLastCommandEnds(journal, new AbortController().signal, (line) => said.push(line));
    expect(said).toEqual([]);
  });

  it('ends when the user interrupts it', async () => {
    const interrupt = new AbortController();
    const journal = { entries: entries((await processName(process.pid))!) };
    const waiting = untilLastCommandEnds(journal, interrupt.signal, () => interrupt.abort());
    await expect(waiting).rejects.toThrow('interrupted');
  });
});

describe('Journal', () => {
  const path = () => join(scratch, 'journal.ndjson');

  it('has the state of each step when it is opened again', async () => {
    const journal = await Journal.open(scratch, 'hash');
    for (const [step, event] of [
      ['a', 'begun'],
      ['a', 'done'],
      ['b', 'begun'],
      ['b', 'failed'],
      ['c', 'done'],
      ['c', 'undoing'],
      ['d', 'done'],
      ['d', 'undone'],
    ] as const)
      await journal.write(step, event);
    await journal.close();
    const again = await Journal.open(scratch, 'hash');
    expect(['a', 'b', 'c', 'd', 'e'].map((step) => again.stateOf(step))).toEqual([
      ...['done', 'begun', 'undoing', 'open', 'open'],
    ]);
    expect([again.wasBegun('a'), again.wasBegun('c')]).toEqual([true, false]);
    await again.close();
  });

  it('names a damaged line', async () => {
    await (await Journal.open(scratch, 'hash')).close();
    const first = await readFile(path(), 'utf8');
    await writeFile(path(), `${first}garbage\n${first}`);
    await expect(Journal.open(scratch, 'hash')).rejects.toThrow(`${path()}:2 is damaged`);
  });

  it('says when it cannot be written', async () => {
    const journal = await Journal.open(scratch, 'hash');
    await journal.close();
    await expect(journal.write('a', 'begun')).rejects.toThrow('journal.ndjson cannot be written: ');
    expect(journal.stateOf('a')).toBe('open');
  });

  it('follows no link', async () => {
    await symlink('elsewhere', path());
    await expect(Journal.open(scratch, 'hash')).rejects.toThrow('ELOOP');
  });

  it('refuses another plan.json', async () => {
    await (await Journal.open(scratch, 'hash')).close();
    await expect(Journal.open(scratch, 'other')).rejects.toThrow('plan.json was changed');
  });
});
