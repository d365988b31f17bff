import { ContainerTable } from '../../../src/store/container-table';
import type { ContainerRecord } from '../../../src/store/records';
import { settle } from '../support/async';
import { containerRecord, runningContainer } from '../support/records';

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

  it('gives the latest record of each', () => {
    const table = new ContainerTable();
    table.put(containerRecord({ id: 'a', sandboxId: 's' }));
    table.put(runningContainer({ id: 'a', sandboxId: 's' }));
    expect(table.ofSandbox('s').map(({ state }) => state)).toEqual(['running']);
  });

  describe('waitFor', () => {
    const { signal } = new AbortController();

    it.each([
      { desc: 'holds already', before: runningContainer({ id: 'a' }), state: 'running' },
      { desc: 'unknown container', before: undefined, state: undefined },
    ])('at once: $desc', async ({ before, state }) => {
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

    it('ends with undefined when the container goes, and lets go of the signal', async () => {
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

    it('ends with the reason of the signal, and then listens no more', async () => {
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
