import type { Json, JsonObject } from '../../../../src/proto/fields';
import type { Observation, ObservedCall } from '../../../../src/harness/observation';

export interface RunOptions {
  /** A part of all ids. */
  readonly ids: string;
  /** The start of the run in nanoseconds since the epoch. */
  readonly began: bigint;
  readonly ip: string;
  readonly runtime?: { readonly name: string; readonly version: string };
  /** The number of repetitions of each poll. */
  readonly polls?: number;
}

export const A_RUN: RunOptions = { ids: 'a', began: 1_700_000_000_000_000_000n, ip: '10.0.0.7' };
export const B_RUN: RunOptions = { ids: 'b', began: 1_800_000_000_000_000_000n, ip: '10.99.0.3', polls: 3 };

const POD = { name: 'web-0', uid: 'u-1', namespace: 'default' };
const LABELS = { app: 'web', tier: 'front' };
const MOUNTS = [
  { container_path: '/data', host_path: '/srv/data' },
  { container_path: '/etc/app', host_path: '/srv/app', readonly: true },
];
const IMAGE = 'registry.local/app:1';

/**
 * The calls of a kubelet for a pod of two containers, as a runtime sees them, from the pull to the removal.
 */
export function walk({ ids, began, ip, runtime, polls = 1 }: RunOptions): Observation {
  const calls: ObservedCall[] = [];
  let n = 0;
  const at = (): string => String(began + BigInt(n) * 1_000_000_000n);
  const call = (method: string, request: JsonObject, answer: Partial<ObservedCall>): void => {
    n++;
    calls.push({ n, t: n, ms: 5, method, request, status: 'OK', ...answer });
  };
  const ask = (method: string, request: JsonObject, response: JsonObject): void => {
    for (let time = 0; time < polls; time++) call(method, request, { response });
  };
  const sandbox = `${ids}-sandbox`;
  const image = { id: `sha256:${ids}-image`, repo_tags: [IMAGE], size: ids === 'a' ? '1000' : '2500' };
  const config = { metadata: POD, hostname: 'web-0', labels: LABELS, dns_config: { servers: ['10.0.0.10'] } };
  const containers = ['main', 'helper'].map((name) => ({ name, id: `${ids}-${name}` }));
  const events: JsonObject[] = [];
  const event = (id: string, type: string, statuses: Json = []): void => {
    events.push({
      ...{ container_id: id, created_at: at(), containers_statuses: statuses },
      ...(type === 'CONTAINER_CREATED_EVENT' ? {} : { container_event_type: type }),
      pod_sandbox_status: { id: sandbox, metadata: POD, created_at: String(began), labels: LABELS },
    });
  };

  ask('Version', {}, { version: '0.1.0', runtime_name: runtime?.name ?? 'x', runtime_api_version: 'v1' });
  ask('Status', {}, { status: { conditions: [{ type: 'RuntimeReady', status: true }] } });
  ask('ListImages', {}, { images: [{ id: `${ids}-pause`, repo_tags: [`pause:${ids}`], size: '5' }] });
  call('PullImage', { image: { image: IMAGE } }, { response: { image_ref: image.id } });
  ask('ImageStatus', { image: { image: IMAGE } }, { image });
  const sandboxAt = at();
  call('RunPodSandbox', { config }, { response: { pod_sandbox_id: sandbox } });
  event(sandbox, 'CONTAINER_CREATED_EVENT');
  event(sandbox, 'CONTAINER_STARTED_EVENT');
  const podStatus = {
    ...{ id: sandbox, metadata: POD, created_at: sandboxAt, labels: LABELS, network: { ip } },
    linux: { namespaces: { options: { pid: 'CONTAINER' } } },
  };
  ask('PodSandboxStatus', { pod_sandbox_id: sandbox }, { status: podStatus });

  for (const { name, id } of containers) {
    const created = at();
    const metadata = { name };
    const request = {
      ...{ pod_sandbox_id: sandbox, sandbox_config: config },
      config: {
        ...{ metadata, image: { image: image.id }, mounts: MOUNTS, labels: { name } },
        envs: [{ key: 'COLOUR', value: 'Ymx1ZQ==' }],
      },
    };
    call('CreateContainer', request, { response: { container_id: id } });
    event(id, 'CONTAINER_CREATED_EVENT');
    call('StartContainer', { container_id: id }, { response: {} });
    const started = at();
    event(id, 'CONTAINER_STARTED_EVENT');
    const status = {
      ...{ id, metadata, created_at: created, started_at: started, labels: { name }, mounts: MOUNTS },
      ...{
        image: { image: IMAGE },
        image_id: image.id,
        image_ref: `repo@${image.id}`,
        log_path: '/log/0.log',
      },
      resources: { linux: { cpu_shares: '512' } },
    };
    const item = { id, pod_sandbox_id: sandbox, metadata, image: { image: IMAGE }, created_at: created };
    ask(
      'ListContainers',
      { filter: { pod_sandbox_id: sandbox } },
      { containers: [{ ...item, state: 'CONTAINER_RUNNING', labels: { name } }] },
    );
    ask('ContainerStatus', { container_id: id }, { status: { ...status, state: 'CONTAINER_RUNNING' } });
    call('ExecSync', { container_id: id, cmd: ['id'] }, { response: { stdout: 'dWlkPTA=' } });
    call(
      'Exec',
      { container_id: id, cmd: ['sh'] },
      { response: { url: `http://127.0.0.1:${n}/exec/${ids}` } },
    );
    ask(
      'ContainerStats',
      { container_id: id },
      {
        stats: {
          attributes: { id, metadata },
          cpu: { timestamp: at(), usage_core_nano_seconds: { value: String(n * 1000) } },
        },
      },
    );
    call('StopContainer', { container_id: id, timeout: '2' }, { response: {} });
    event(id, 'CONTAINER_STOPPED_EVENT');
    const ended = { state: 'CONTAINER_EXITED', finished_at: at(), exit_code: 3, reason: 'Error' };
    ask('ContainerStatus', { container_id: id }, { status: { ...status, ...ended } });
    call('RemoveContainer', { container_id: id }, { response: {} });
    event(id, 'CONTAINER_DELETED_EVENT');
    for (let time = 0; time < polls; time++)
      call('ContainerStatus', { container_id: id }, { status: 'NOT_FOUND', details: `no container ${id}` });
  }
  call('StopPodSandbox', { pod_sandbox_id: sandbox }, { response: {} });
  call('RemovePodSandbox', { pod_sandbox_id: sandbox }, { response: {} });
  calls.push({
    n: ++n,
    t: 0.5,
    ms: 9000,
    method: 'GetContainerEvents',
    request: {},
    status: 'CANCELLED',
    messages: events,
  });
  return { source: `${ids}.tape`, runtime: runtime ?? { name: 'x', version: '1' }, calls };
}
