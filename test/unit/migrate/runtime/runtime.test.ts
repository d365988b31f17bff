import { status } from '@grpc/grpc-js';
import { connect } from '../../../../src/migrate/runtime/connect';
import { readiness } from '../../../../src/migrate/runtime/ready';
import { podsOf, removePods } from '../../../../src/migrate/runtime/remove-pods';
import type { CriClient } from '../../../../src/server/client/cri-client';

type Client = Pick<CriClient, 'call'>;
interface Request {
  readonly container_id?: string;
  readonly pod_sandbox_id?: string;
  readonly filter?: { readonly pod_sandbox_id?: string };
}

/** A runtime that answers with what `answer` returns, and records the calls. */
function fakeRuntime(answer: (method: string, request: Request) => unknown): {
  cri: Client;
  calls: string[];
} {
  const calls: string[] = [];
  const call = (method: string, request: Request): Promise<unknown> => {
    calls.push([method, request.container_id ?? request.pod_sandbox_id ?? ''].join(' ').trim());
    const result = answer(method, request);
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  };
  return { cri: { call } as unknown as Client, calls };
}

const failure = (code: status): Error => Object.assign(new Error('refused'), { code });
const pod = (id: string, name: string) => ({ id, metadata: { namespace: 'kube-system', name } });

describe('removePods', () => {
  const items = [pod('1', 'etcd-n1'), pod('2', 'proxy')];

  it('stops the containers, then the pod, and removes it, with etcd last', async () => {
    const { cri, calls } = fakeRuntime((method, { filter }) => {
      if (method === 'ListPodSandbox') return { items };
      return method === 'ListContainers' ? { containers: [{ id: `c${filter?.pod_sandbox_id ?? ''}` }] } : {};
    });
    const removed: string[] = [];
    expect(await removePods(cri, ({ name }) => removed.push(name))).toEqual([]);
    expect(removed).toEqual(['kube-system/proxy', 'kube-system/etcd-n1']);
    expect(calls).toEqual([
      ...['ListPodSandbox', 'ListContainers', 'StopContainer c2', 'StopPodSandbox 2', 'RemovePodSandbox 2'],
      ...['ListContainers', 'StopContainer c1', 'StopPodSandbox 1', 'RemovePodSandbox 1'],
    ]);
  });

  it('goes on with the others when a pod cannot be removed, and accepts one that is gone', async () => {
    const { cri } = fakeRuntime((method, { pod_sandbox_id }) => {
      if (method === 'ListPodSandbox') return { items };
      if (method === 'ListContainers') return { containers: [] };
      return failure(pod_sandbox_id === '2' ? status.INTERNAL : status.NOT_FOUND);
    });
    const removed: string[] = [];
    expect(await removePods(cri, ({ id }) => removed.push(id))).toEqual(['kube-system/proxy (2): refused']);
    expect(removed).toEqual(['1']);
  });

  it('rejects when the runtime does not list its pods', async () => {
    const { cri } = fakeRuntime(() => failure(status.UNAVAILABLE));
    await expect(removePods(cri, () => undefined)).rejects.toThrow('refused');
    await expect(podsOf(cri)).rejects.toThrow('refused');
  });
});

describe('readiness', () => {
  const answering = (...conditions: object[]) =>
    fakeRuntime((method) =>
      method === 'Version' ? { runtime_name: 'r', runtime_version: '1' } : { status: { conditions } },
    ).cri;
  const RUNTIME = { type: 'RuntimeReady', status: true };

  it('is complete with both conditions', async () => {
    const cri = answering(RUNTIME, { type: 'NetworkReady', status: true });
    expect(await readiness(cri, 'unix:///x')).toEqual({ name: 'r', version: '1', problems: [] });
  });

  it('names what is false or missing', async () => {
    const network = { type: 'NetworkReady', status: false, reason: 'NoConf', message: 'no file' };
    expect((await readiness(answering(RUNTIME, network), '')).problems).toEqual([
      'NetworkReady is false: NoConf no file',
    ]);
    expect((await readiness(answering(RUNTIME), '')).problems).toEqual(['NetworkReady is missing']);
  });

  it('rejects with the endpoint when nothing answers', async () => {
    const { cri } = fakeRuntime(() => failure(status.UNAVAILABLE));
    await expect(readiness(cri, 'unix:///x')).rejects.toThrow('no runtime answers at unix:///x: refused');
  });
});

describe('connect', () => {
  it('takes a socket as URL or path, and nothing else', () => {
    for (const endpoint of ['unix:///run/x.sock', '/run/x.sock']) connect(endpoint).close();
    for (const endpoint of ['tcp://127.0.0.1:1', 'unix://run/x.sock', ''])
      expect(() => connect(endpoint)).toThrow('is not unix:///path/to/a.sock');
  });
});
