import { ContainerTable, RecordTable, type TableRecord } from '../../../src/store/record-table';
import type { ContainerRecord } from '../../../src/store/records';
import { settle } from '../support/async';
import { thrownBy } from '../support/errors';
import { containerRecord, runningContainer } from '../support/records';

interface Row extends TableRecord {
  readonly value?: number;
}

function tableOf(...rows: Row[]): RecordTable<Row> {
  const table = new RecordTable<Row>();
  for (const row of rows) table.put(row);
  return table;
}

describe('RecordTable', () => {
  const table = tableOf(
    { id: 'abc1', engineName: 'one' },
    { id: 'abc2', engineName: 'two' },
    { id: 'abc', engineName: 'three' },
    { id: 'd', engineName: 'four' },
  );

  it.each([
    { desc: 'a full id', given: 'abc1', found: 'abc1' },
    { desc: 'a full id that is also a prefix of others', given: 'abc', found: 'abc' },
    { desc: 'a unique prefix', given: 'd', found: 'd' },
    { desc: 'no match', given: 'x', found: undefined },
    { desc: 'a text longer than the id', given: 'dd', found: undefined },
    { desc: 'the middle of an id', given: 'bc1', found: undefined },
    { desc: 'an empty text', given: '', found: undefined },
  ])('resolve returns $found for $desc', ({ given, found }) =>
    expect(table.resolve(given, 'f')?.id).toBe(found),
  );

  it('resolve refuses an ambiguous prefix with the name of the field', () => {
    expect(thrownBy(() => table.resolve('ab', 'container_id'))).toMatch(
      /^INVALID_ARGUMENT container_id: .*"ab" is ambiguous/,
    );
  });

  it('finds by name, follows a rename, and forgets the name with the record', () => {
    const names = tableOf({ id: 'a', engineName: 'old' });
    names.put({ id: 'a', engineName: 'new' });
    expect([names.byName('old')?.id, names.byName('new')?.id]).toEqual([undefined, 'a']);
    names.delete('a');
    expect(names.byName('new')).toBeUndefined();
  });

  it.each([
    { desc: 'renamed', change: (names: RecordTable<Row>) => names.put({ id: 'a', engineName: 'a-renamed' }) },
    { desc: 'removed', change: (names: RecordTable<Row>) => names.delete('a') },
  ])('keeps a name with the newer record when the previous holder is $desc', ({ change }) => {
    const names = tableOf({ id: 'a', engineName: 'name' }, { id: 'b', engineName: 'name' });
    change(names);
    expect(names.byName('name')?.id).toBe('b');
  });

  it('never restores a removed id', () => {
    const rows = tableOf({ id: 'a', engineName: 'one' });
    rows.delete('a');
    rows.put({ id: 'a', engineName: 'one' });
    expect([rows.size, rows.get('a'), rows.byName('one'), rows.wasRemoved('a')]).toEqual([
      0,
      undefined,
      undefined,
      true,
    ]);
  });

  it('never adds an id that was removed before it was known', () => {
    const rows = tableOf();
    rows.delete('a');
    rows.put({ id: 'a', engineName: 'one' });
    expect(rows.size).toBe(0);
  });

  it('accepts a removed id again after a new connection to the Engine', () => {
    const rows = tableOf({ id: 'a', engineName: 'one' });
    rows.delete('a');
    rows.forgetRemovals();
    expect(rows.wasRemoved('a')).toBe(false);
    rows.put({ id: 'a', engineName: 'one' });
    expect([rows.get('a')?.id, rows.byName('one')?.id]).toEqual(['a', 'a']);
    rows.delete('a');
    expect(rows.wasRemoved('a')).toBe(true);
  });

  it('knows that a removed id has nothing newer than a revision', () => {
    const rows = tableOf({ id: 'a', engineName: 'one' });
    rows.delete('a');
    expect(rows.isNewerThan('a', 0)).toBe(false);
  });

  it('knows whether an id is newer than a revision', () => {
    const rows = tableOf({ id: 'a', engineName: 'one' }, { id: 'b', engineName: 'two' });
    const revision = rows.now;
    rows.put({ id: 'b', engineName: 'two', value: 1 });
    rows.put({ id: 'c', engineName: 'three' });
    const newer = (id: string) => rows.isNewerThan(id, revision);
    expect(['a', 'b', 'c', 'unknown'].map(newer)).toEqual([false, true, true, false]);
    expect(rows.isNewerThan('c', rows.now)).toBe(false);
  });

  it('increases its revision with every change, and only then', () => {
    const rows = tableOf();
    const seen = [rows.now];
    const note = () => seen.push(rows.now);
    rows.put({ id: 'a', engineName: 'one' });
    note();
    rows.delete('a');
    note();
    rows.delete('a');
    rows.put({ id: 'a', engineName: 'one' });
    expect(seen).toEqual([0, 1, 2]);
    expect(rows.now).toBe(2);
  });

  it('reports the new and the old record to listeners until they leave', () => {
    const rows = tableOf();
    const heard: unknown[] = [];
    const leave = rows.subscribe((now, before) => heard.push([now?.value, before?.value]));
    rows.put({ id: 'a', engineName: 'one', value: 1 });
    rows.put({ id: 'a', engineName: 'one', value: 2 });
    rows.delete('a');
    rows.delete('a');
    leave();
    rows.put({ id: 'b', engineName: 'two', value: 3 });
    expect(heard).toEqual([
      [1, undefined],
      [2, 1],
      [undefined, 2],
    ]);
  });
});

const isRunning = (container: ContainerRecord) => container.state === 'running';

function listenersOf(table: ContainerTable): number {
  return (table as unknown as { listeners: Set<unknown> }).listeners.size;
}

describe('ContainerTable', () => {
  it('knows the containers of a sandbox', () => {
    const table = new ContainerTable();
    const put = (id: string, sandboxId: string) =>
      table.put(containerRecord({ id, sandboxId, engineName: id }));
    put('a', 's1');
    put('b', 's1');
    put('c', 's2');
    put('b', 's1');
    const of = (sandboxId: string) => table.ofSandbox(sandboxId).map(({ id }) => id);
    expect([of('s1'), of('s2'), of('s3')]).toEqual([['a', 'b'], ['c'], []]);
    table.delete('a');
    table.delete('c');
    put('a', 's1');
    expect([of('s1'), of('s2')]).toEqual([['b'], []]);
  });

  it('returns the latest record of each container of a sandbox', () => {
    const table = new ContainerTable();
    table.put(containerRecord({ id: 'a', sandboxId: 's' }));
    table.put(runningContainer({ id: 'a', sandboxId: 's' }));
    expect(table.ofSandbox('s').map(({ state }) => state)).toEqual(['running']);
  });

  describe('waitFor', () => {
    const { signal } = new AbortController();

    it.each([
      { desc: 'a condition that already holds', before: runningContainer({ id: 'a' }), state: 'running' },
      { desc: 'an unknown container', before: undefined, state: undefined },
    ])('returns at once for $desc', async ({ before, state }) => {
      const table = new ContainerTable();
      if (before !== undefined) table.put(before);
      expect((await table.waitFor('a', isRunning, signal))?.state).toBe(state);
    });

    it('waits for the change of this container, not of others', async () => {
      const table = new ContainerTable();
      table.put(containerRecord({ id: 'a', engineName: 'a' }));
      let resolved = false;
      const waiting = table.waitFor('a', isRunning, signal).then((record) => {
        resolved = true;
        return record;
      });
      await settle();
      table.put(runningContainer({ id: 'b', engineName: 'b' }));
      table.put(containerRecord({ id: 'a', engineName: 'a', labels: { changed: 'yes' } }));
      table.delete('b');
      await settle();
      expect(resolved).toBe(false);
      table.put(runningContainer({ id: 'a', engineName: 'a' }));
      expect((await waiting)?.state).toBe('running');
      expect(listenersOf(table)).toBe(0);
    });

    it('returns undefined when the container is removed, and leaves no listener on the signal', async () => {
      const table = new ContainerTable();
      const removed = jest.spyOn(signal, 'removeEventListener');
      table.put(containerRecord({ id: 'a' }));
      const waiting = table.waitFor('a', isRunning, signal);
      await settle();
      table.delete('a');
      await expect(waiting).resolves.toBeUndefined();
      expect(removed).toHaveBeenCalledTimes(1);
      expect(listenersOf(table)).toBe(0);
    });

    it('rejects with the reason of the signal, and then leaves no listener', async () => {
      const table = new ContainerTable();
      table.put(containerRecord({ id: 'a' }));
      const controller = new AbortController();
      const waiting = table.waitFor('a', isRunning, controller.signal);
      await settle();
      controller.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
      expect(listenersOf(table)).toBe(0);
      await expect(table.waitFor('a', isRunning, controller.signal)).rejects.toThrow('enough');
    });
  });
});
