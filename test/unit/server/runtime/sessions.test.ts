import { attach } from '../../../../src/server/runtime/attach';
import { exec } from '../../../../src/server/runtime/exec';
import { portForward } from '../../../../src/server/runtime/port-forward';
import { reopenContainerLog } from '../../../../src/server/runtime/reopen-container-log';
import { removeContainer } from '../../../../src/server/runtime/remove-container';
import { updatePodSandboxResources } from '../../../../src/server/runtime/update-pod-sandbox-resources';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { rejectionOf, thrownBy } from '../../support/errors';
import { containerRecord, engineId, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const pod = sandboxRecord();
const running = runningContainer({ logPath: '/var/log/pods/x/0.log' });
const created = containerRecord({ id: engineId('c2'), engineName: 'c2', logPath: '/var/log/pods/y/0.log' });
const STREAMS = { stdin: true, stdout: true, stderr: false, tty: true };

let asked: unknown[];
let reopened: string[];
let store: WritableStore;
let services: Services;
beforeEach(() => {
  [asked, reopened] = [[], []];
  store = new WritableStore();
  store.sandboxes.put(pod);
  for (const container of [running, created]) store.containers.put(container);
  const url =
    (kind: string) =>
    (request: object): string => {
      asked.push(request);
      return `http://127.0.0.1:1/${kind}`;
    };
  services = {
    store,
    streaming: { execUrl: url('exec'), attachUrl: url('attach'), portForwardUrl: url('portforward') },
    logs: {
      reopen: (id: string) => {
        reopened.push(id);
        return Promise.resolve();
      },
    },
  } as unknown as Services;
});

describe('Exec', () => {
  const ask = (more: object) =>
    exec(
      services,
      decoded('ExecRequest', { container_id: running.id, cmd: ['sh', ''], ...STREAMS, ...more }),
    );

  it('returns a URL for the container, the command and the streams, and accepts any unique prefix of the container id', async () => {
    const url = { url: 'http://127.0.0.1:1/exec' };
    expect(await ask({})).toEqual(url);
    expect(
      await ask({ container_id: running.id.slice(0, 12), stderr: true, tty: false, stdin: false }),
    ).toEqual(url);
    expect(asked).toEqual([
      { containerId: running.id, command: ['sh', ''], ...STREAMS },
      { containerId: running.id, command: ['sh', ''], stdin: false, stdout: true, stderr: true, tty: false },
    ]);
  });

  it.each<[object, string]>([
    [{ cmd: [] }, 'INVALID_ARGUMENT cmd: is required'],
    [{ cmd: [''] }, 'INVALID_ARGUMENT cmd[0]: is required'],
    [{ cmd: ['sh', 'a\0b'] }, 'INVALID_ARGUMENT cmd[1]: '],
    [{ stderr: true }, 'INVALID_ARGUMENT stderr: cannot be separated'],
    [{ stdin: false, stdout: false }, 'INVALID_ARGUMENT stdin: one of stdin, stdout and stderr is required'],
    [{ container_id: created.id }, `FAILED_PRECONDITION container ${created.id} is not running (created)`],
    [{ container_id: 'ff' }, 'NOT_FOUND container "ff" does not exist'],
  ])('refuses %j', (more, why) => {
    expect(thrownBy(() => ask(more)).slice(0, why.length)).toBe(why);
    expect(asked).toEqual([]);
  });
});

describe('Attach', () => {
  const ask = (more: object) =>
    attach(services, decoded('AttachRequest', { container_id: running.id, ...STREAMS, ...more }));

  it('returns a URL for the container and the streams', async () => {
    expect(await ask({})).toEqual({ url: 'http://127.0.0.1:1/attach' });
    expect(await ask({ stdin: false, stdout: false, stderr: true, tty: false })).toBeDefined();
    expect(asked).toEqual([
      { containerId: running.id, ...STREAMS },
      { containerId: running.id, stdin: false, stdout: false, stderr: true, tty: false },
    ]);
  });

  it.each<[object, RegExp]>([
    [{ stderr: true }, /^INVALID_ARGUMENT stderr: /],
    [{ stdin: false, stdout: false }, /^INVALID_ARGUMENT stdin: /],
    [{ container_id: created.id }, /^FAILED_PRECONDITION /],
  ])('refuses %j', (more, why) => {
    expect(thrownBy(() => ask(more))).toMatch(why);
    expect(asked).toEqual([]);
  });
});

describe('PortForward', () => {
  const ask = (port: number[], pod_sandbox_id = pod.id) =>
    portForward(services, decoded('PortForwardRequest', { pod_sandbox_id, port }));

  it('returns a URL for the pod and its ports, if any', async () => {
    expect(await ask([1, 65_535])).toEqual({ url: 'http://127.0.0.1:1/portforward' });
    await ask([]);
    expect(asked).toEqual([
      { sandboxId: pod.id, ports: [1, 65_535] },
      { sandboxId: pod.id, ports: [] },
    ]);
  });

  it.each([0, 65_536, -1])('refuses port %d', (port) => {
    expect(thrownBy(() => ask([80, port]))).toMatch(/^INVALID_ARGUMENT port\[1\]: /);
  });

  it('refuses a pod that is not ready', () => {
    store.sandboxes.put({ ...pod, stopping: true });
    expect(thrownBy(() => ask([80]))).toBe(`FAILED_PRECONDITION pod sandbox ${pod.id} is not ready`);
    expect(asked).toEqual([]);
  });
});

describe('ReopenContainerLog', () => {
  const ask = (container_id: string) =>
    reopenContainerLog(services, decoded('ReopenContainerLogRequest', { container_id }));

  it('reopens the log of a running container', async () => {
    expect(await ask(running.id)).toEqual({});
    expect(reopened).toEqual([running.id]);
  });

  it('refuses a container without a log, and one that has ended', async () => {
    store.containers.put({ ...running, logPath: '' });
    expect(await rejectionOf(ask(running.id))).toBe(
      `FAILED_PRECONDITION container ${running.id} was created without a log_path`,
    );
    store.containers.put({ ...running, state: 'exited', pid: 0 });
    expect(await rejectionOf(ask(running.id))).toBe(
      `FAILED_PRECONDITION container ${running.id} is not running (exited)`,
    );
    expect(reopened).toEqual([]);
  });
});

describe('a missing container or pod', () => {
  it('counts as removed for RemoveContainer', async () => {
    const request = decoded('RemoveContainerRequest', { container_id: 'ff' });
    expect(await removeContainer(services, request, { signal: new AbortController().signal })).toEqual({});
  });

  it('is NOT_FOUND for UpdatePodSandboxResources, which changes nothing for an existing pod because kubelet does', async () => {
    const request = (pod_sandbox_id: string) =>
      decoded('UpdatePodSandboxResourcesRequest', { pod_sandbox_id });
    expect(await updatePodSandboxResources(services, request(pod.id))).toEqual({});
    expect(thrownBy(() => updatePodSandboxResources(services, request('ff')))).toMatch(/^NOT_FOUND /);
  });
});
