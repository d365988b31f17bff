import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { PassThrough, type Duplex } from 'node:stream';
import { NamespaceMode } from '../../../../src/proto/enums';
import { EngineStreaming, connectToPod, PodConnections } from '../../../../src/server/exec/engine-streaming';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import type { NetnsDialers, OpenNetns } from '../../../../src/streaming/port-forward/netns-dialer';
import { gate } from '../../support/async';
import { rejectionOf } from '../../support/errors';
import { sandboxRecord } from '../../support/records';

const mockMembers = new Set<number>();
jest.mock('../../../../src/node/cgroup', () => ({
  ...jest.requireActual<object>('../../../../src/node/cgroup'),
  isInContainer: (pid: number) => Promise.resolve(mockMembers.has(pid)),
}));

const pod = sandboxRecord({ pid: process.pid });
const onNode = { ...pod, namespaces: { ...pod.namespaces, network: NamespaceMode.NODE } };

describe('a connection to a port of a pod', () => {
  let store: WritableStore;
  let asked: unknown[];
  let opened: FileHandle[];
  let answer: (open: OpenNetns) => Promise<Duplex>;
  beforeEach(() => {
    mockMembers.clear();
    mockMembers.add(process.pid);
    store = new WritableStore();
    store.sandboxes.put(pod);
    [asked, opened] = [[], []];
    answer = async (open) => {
      const handle = await open();
      opened.push(handle);
      await handle.close();
      return new PassThrough();
    };
  });
  const connect = (port: number, localEngine = true): Promise<Duplex> => {
    const services = { store, settings: { localEngine } } as unknown as Services;
    const dialers = {
      connect: (key: string, number: number, open: OpenNetns) => {
        asked.push([key, number]);
        return answer(open);
      },
    } as unknown as NetnsDialers;
    return connectToPod(services, dialers, pod.id, port);
  };

  it("is made in the pod's network namespace, through a handle of the namespace", async () => {
    expect(await connect(80)).toBeInstanceOf(PassThrough);
    expect([asked, opened]).toEqual([[[pod.id, 80]], [expect.objectContaining({ fd: -1 })]]);
  });

  it('is not made in the namespace of a process that reuses the pid', async () => {
    mockMembers.clear();
    const refused = connect(80);
    await expect(refused).rejects.toMatchObject({ cause: { code: 'UNAVAILABLE' } });
    const why = await rejectionOf(refused);
    expect(why).toBe(
      `UNAVAILABLE cannot connect to port 80 of pod shop/web in the network namespace of sandbox ${pod.id}: ` +
        `the pause process of sandbox ${pod.id} has ended`,
    );
    expect(opened).toEqual([]);
  });

  it("is made on the node's network if the pod shares it, and a refusal says so", async () => {
    store.sandboxes.put(onNode);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = (await connect(port)) as Socket;
    expect(socket.remotePort).toBe(port);
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    expect(await rejectionOf(connect(port))).toMatch(
      new RegExp(
        `^UNAVAILABLE cannot connect to port ${port} of pod shop/web in the node's network, which the pod shares: 127`,
      ),
    );
    expect(asked).toEqual([]);
  });

  it.each([
    ['is not there', () => store.sandboxes.delete(pod.id)],
    ['is not ready', () => store.sandboxes.put({ ...pod, networkReady: false })],
  ])('is refused if the pod %s', async (_, change) => {
    change();
    expect(await rejectionOf(connect(80))).toBe(`FAILED_PRECONDITION pod sandbox ${pod.id} is not ready`);
    expect(asked).toEqual([]);
  });

  it('is refused if the Engine is on another machine', async () => {
    expect(await rejectionOf(connect(80, false))).toMatch(/port_forward.*remote Engine/);
    expect(asked).toEqual([]);
  });
});

describe('connections into pods', () => {
  let connections: PodConnections;
  beforeEach(() => (connections = new PodConnections(2)));
  const open = async (id: string): Promise<PassThrough> => {
    const socket = new PassThrough();
    expect(await connections.open(id, () => Promise.resolve(socket))).toBe(socket);
    return socket;
  };

  it('are limited, and free their place when they close or fail', async () => {
    const first = await open('a');
    await expect(connections.open('a', () => Promise.reject(new Error('refused')))).rejects.toThrow(
      'refused',
    );
    await open('b');
    const none = jest.fn();
    expect(await rejectionOf(connections.open('c', none))).toBe(
      'RESOURCE_EXHAUSTED 2 connections are forwarded into pods, which is the limit',
    );
    expect(none).not.toHaveBeenCalled();
    first.destroy();
    await once(first, 'close');
    await open('c');
  });

  it('close with their pod, without affecting others', async () => {
    const [ended, other] = [await open('a'), await open('b')];
    connections.close('a');
    expect([ended.destroyed, other.destroyed]).toEqual([true, false]);
  });

  it('that open after their pod has ended are closed at once', async () => {
    const late = gate<Duplex>();
    const opening = rejectionOf(connections.open('a', () => late.promise));
    const other = gate<Duplex>();
    const fine = connections.open('b', () => other.promise);
    connections.close('a');
    const [socket, good] = [new PassThrough(), new PassThrough()];
    late.resolve(socket);
    other.resolve(good);
    expect([await opening, socket.destroyed]).toEqual(['UNAVAILABLE the pod is stopped', true]);
    expect([await fine, good.destroyed]).toEqual([good, false]);
    const dead = new PassThrough().destroy();
    expect(await rejectionOf(connections.open('b', () => Promise.resolve(dead)))).toBe(
      'UNAVAILABLE the pod is stopped',
    );
    await open('c');
  });
});

describe('the end of a pod', () => {
  it('releases its helper and closes its connections as soon as the pod is not ready', async () => {
    const store = new WritableStore();
    const released: string[] = [];
    const application = new PassThrough();
    const dialers = {
      connect: () => Promise.resolve(application),
      release: (id: string) => Promise.resolve(released.push(id)),
    } as unknown as NetnsDialers;
    const services = { store, settings: { localEngine: true } } as unknown as Services;
    const streaming = new EngineStreaming(services, dialers);
    store.sandboxes.put(pod);
    store.sandboxes.put({ ...pod, labels: { a: '1' } });
    expect(await streaming.connect(pod.id, 80)).toBe(application);
    expect([released, application.destroyed]).toEqual([[], false]);
    store.sandboxes.put({ ...pod, stopping: true });
    expect([released, application.destroyed]).toEqual([[pod.id], true]);
    store.sandboxes.delete(pod.id);
    expect(released).toEqual([pod.id, pod.id]);
  });
});
