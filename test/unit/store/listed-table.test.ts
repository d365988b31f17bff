import { ListedTable, type ListedRecord } from '../../../src/store/listed-table';
import { containerRecord } from '../support/records';

const container = (id: string, sandboxId: string, isTold = true): ListedRecord => ({
  id,
  kind: 'container',
  sandboxId,
  record: isTold ? containerRecord({ id, sandboxId }) : undefined,
});
const sandbox = (id: string): ListedRecord => ({ id, kind: 'sandbox', sandboxId: id, record: undefined });

function tableOf(...all: ListedRecord[]): ListedTable {
  const table = new ListedTable();
  table.replace(all);
  return table;
}

const listed = (table: ListedTable): string[] => [...table.records()].map(({ id }) => id);
const missing = (table: ListedTable): number[] => [table.missing('sandbox'), table.missing('container')];
const pods = (table: ListedTable, ...ids: string[]): boolean[] => ids.map((id) => table.hasPod(id));

function wanted(table: ListedTable): string[] {
  const taken: string[] = [];
  for (let id = table.takeWanted(); id !== undefined; id = table.takeWanted()) taken.push(id);
  return taken;
}

describe('ListedTable', () => {
  it("lists containers about which the Engine's list says enough, and counts the others by kind", () => {
    const table = tableOf(
      sandbox('s1'),
      sandbox('s2'),
      container('a', 's1'),
      container('b', 's1', false),
      container('c', 's3'),
    );
    expect(listed(table)).toEqual(['a', 'c']);
    expect(missing(table)).toEqual([2, 1]);
    expect(table.size).toBe(5);
    expect(['s1', 'b', 'x'].map((id) => table.has(id))).toEqual([true, true, false]);
    expect(pods(table, 's1', 's2', 's3', 'a')).toEqual([true, true, true, false]);
  });

  it('knows a pod until the last of its containers was inspected', () => {
    const table = tableOf(
      sandbox('s1'),
      container('a', 's1'),
      container('b', 's1', false),
      container('c', 's2'),
    );
    table.delete('s1');
    expect(pods(table, 's1', 's2')).toEqual([true, true]);
    table.delete('b');
    expect(pods(table, 's1', 's2')).toEqual([true, true]);
    table.delete('a');
    expect(pods(table, 's1', 's2')).toEqual([false, true]);
    expect([listed(table), missing(table), table.size]).toEqual([['c'], [0, 0], 1]);
  });

  it('keeps nothing of an earlier list', () => {
    const table = tableOf(sandbox('s1'), container('a', 's1', false), container('b', 's1'));
    table.want('a');
    table.replace([container('c', 's2')]);
    expect([listed(table), missing(table), table.size]).toEqual([['c'], [0, 0], 1]);
    expect(pods(table, 's1', 's2')).toEqual([false, true]);
    expect(wanted(table)).toEqual([]);
  });

  it('does not list a container after an event, and has it inspected soon', () => {
    const table = tableOf(container('a', 's1'), container('b', 's1'));
    table.distrust('b');
    expect([listed(table), missing(table), pods(table, 's1')]).toEqual([['a'], [0, 1], [true]]);
    expect(wanted(table)).toEqual(['b']);
    table.delete('b');
    expect(missing(table)).toEqual([0, 0]);
  });

  it('distrusts the list about a container that had an event while the list was made', () => {
    const table = new ListedTable();
    table.expect();
    table.distrust('a');
    table.replace([container('a', 's1'), container('b', 's1')]);
    expect([listed(table), missing(table), wanted(table)]).toEqual([['b'], [0, 1], ['a']]);
    // The next list is trusted, because no event came while it was made.
    table.expect();
    table.replace([container('a', 's1')]);
    expect([listed(table), missing(table), wanted(table)]).toEqual([['a'], [0, 0], []]);
  });

  it('is empty once all containers were inspected, and records no change after that', () => {
    const table = tableOf(sandbox('s1'), container('a', 's1'));
    table.close();
    expect([table.size, listed(table), missing(table), pods(table, 's1')]).toEqual([0, [], [0, 0], [false]]);
    table.distrust('a');
    table.replace([container('a', 's1')]);
    expect([listed(table), wanted(table)]).toEqual([['a'], []]);
  });

  it('returns the containers that callers wait for, in order and once', () => {
    const table = tableOf(sandbox('s1'), container('a', 's1'), container('b', 's2'), container('c', 's1'));
    table.want('b');
    table.want('unknown');
    table.wantPod('s1');
    table.wantPod('unknown');
    expect(wanted(table)).toEqual(['b', 's1', 'a', 'c']);
    expect(table.takeWanted()).toBeUndefined();
  });

  it('ends the wait for a container that was inspected or is gone', () => {
    const table = tableOf(container('a', 's1'), container('b', 's1'));
    table.wantPod('s1');
    table.delete('a');
    expect(wanted(table)).toEqual(['b']);
  });

  it('reports each change, and nothing else, until the listener leaves', () => {
    const table = tableOf(container('a', 's1'), container('b', 's1'));
    let calls = 0;
    const leave = table.subscribe(() => calls++);
    const callsOf = (change: () => void): number => {
      const before = calls;
      change();
      return calls - before;
    };
    expect(callsOf(() => table.delete('unknown'))).toBe(0);
    expect(callsOf(() => table.distrust('unknown'))).toBe(0);
    expect(callsOf(() => table.delete('a'))).toBe(1);
    expect(callsOf(() => table.distrust('b'))).toBe(1);
    table.expect();
    expect(callsOf(() => table.replace([container('c', 's1')]))).toBe(1);
    expect(callsOf(() => table.close())).toBe(1);
    leave();
    expect(callsOf(() => table.replace([container('d', 's1')]))).toBe(0);
  });
});
