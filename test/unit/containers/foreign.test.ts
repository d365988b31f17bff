import { until } from '../support/async';
import { engineId } from '../support/records';
import { connected, containerEvent, containerInspect, syncRoom, type SyncRoom } from '../sync/support/room';

const ID = engineId('f0');
const foreign = () => {
  const inspect = containerInspect({ id: ID, name: 'db' });
  return { ...inspect, Config: { Image: 'db', Labels: null } };
};
const event = (action: string) => containerEvent(action, { id: ID, name: 'db', type: undefined });
const known = ({ store }: SyncRoom): string[] => [...store.foreign.values()].map(({ imageId }) => imageId);
const IMAGE = foreign().Image;

describe('foreign containers', () => {
  it('are known as soon as they are listed, with their image and without an inspect', async () => {
    const room = syncRoom();
    room.engine.containers.set(ID, foreign());
    room.engine.containers.set(containerInspect().Id, containerInspect());
    await connected(room);
    expect(known(room)).toEqual([IMAGE]);
    expect(room.engine.calls).not.toContain(`inspectContainer ${ID}`);
    room.engine.emit(event('destroy'));
    await until(() => known(room).length === 0);
    await room.link.stop();
  });

  it('are recorded when they are created, and forgotten when they are gone again', async () => {
    const room = await connected(syncRoom());
    room.engine.containers.set(ID, foreign());
    room.engine.emit(event('create'));
    await until(() => known(room).length === 1);
    expect(known(room)).toEqual([IMAGE]);
    room.engine.containers.delete(ID);
    room.engine.emit(event('destroy'));
    room.engine.emit(event('create'));
    await until(() => room.engine.count('inspectContainer') === 2);
    expect([known(room), room.complaints]).toEqual([[], []]);
    await room.link.stop();
  });

  it('include those that have a pod’s labels from their image, as after `docker commit`', async () => {
    const room = syncRoom();
    room.engine.containers.set(ID, containerInspect({ id: ID, name: 'quirky_noether' }));
    await connected(room);
    expect([known(room), room.store.containers.size]).toEqual([[IMAGE], 0]);
    const { signal } = new AbortController();
    await room.resync.run(false, signal);
    expect(room.engine.calls.filter((call) => call === `inspectContainer ${ID}`)).toHaveLength(1);
    room.engine.emit(containerEvent('destroy', { id: ID, name: 'quirky_noether' }));
    await until(() => known(room).length === 0);
    await room.link.stop();
  });

  it('have the name that `docker ps` shows, however dockbridge learnt of them', async () => {
    const names = ({ store }: SyncRoom): string[] =>
      [...store.foreign.values()].map(({ engineName }) => engineName);
    const listed = syncRoom();
    listed.engine.containers.set(ID, foreign());
    await connected(listed);
    expect(names(listed)).toEqual(['db']);
    await listed.link.stop();

    const told = await connected(syncRoom());
    told.engine.containers.set(ID, foreign());
    told.engine.emit(event('create'));
    await until(() => told.store.foreign.size === 1);
    expect(names(told)).toEqual(['db']);
    await told.link.stop();

    const inspected = syncRoom();
    inspected.engine.containers.set(ID, foreign());
    await inspected.life.refresh(ID);
    expect(names(inspected)).toEqual(['db']);
  });

  it('are kept by a list that is older than they are, and forgotten by the next', async () => {
    const room = await connected(syncRoom());
    room.engine.gates.set('listContainers', async () => {
      room.engine.gates.clear();
      room.store.foreign.put({ id: ID, engineName: 'db', imageId: IMAGE });
      await Promise.resolve();
    });
    const { signal } = new AbortController();
    await room.resync.run(false, signal);
    expect(known(room)).toEqual([IMAGE]);
    await room.resync.run(false, signal);
    expect(known(room)).toEqual([]);
    await room.link.stop();
  });
});
