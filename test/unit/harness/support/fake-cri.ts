import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { asText } from '../../../../src/harness/json';
import type { Json, JsonObject } from '../../../../src/proto/fields';
import { toJson } from '../../../../src/proto/fields';
import { fromJson } from '../../../../src/proto/json-to-message';
import { DESCRIPTORS } from '../../../../src/proto/descriptors';

interface Pod {
  readonly id: string;
  readonly config: JsonObject;
  state: string;
}

interface Container {
  readonly id: string;
  readonly pod: string;
  readonly config: JsonObject;
  state: string;
  exitCode: number;
}

export interface FakeCall {
  readonly method: string;
  readonly request: JsonObject;
}

/** Changes an answer, or throws `Refusal`. */
export type Spoil = (call: FakeCall, answer: JsonObject) => JsonObject;

export class Refusal extends Error {
  constructor(
    readonly code: grpc.status,
    message: string,
  ) {
    super(message);
  }
}

const same = (bytes: Buffer): Buffer => bytes;
const bare = (id: string): string => id.replace(/^sha256:/, '');

/**
 * A runtime in memory with enough of CRI for replays and scenarios, over a real socket. Containers
 * run until they are stopped or until the test ends them.
 */
export class FakeCri {
  readonly calls: FakeCall[] = [];
  readonly pods = new Map<string, Pod>();
  readonly containers = new Map<string, Container>();
  readonly images = new Map<string, string>([['busybox:1', `sha256:${'b'.repeat(64)}`]]);
  /** Changes the answers that follow. By default they stay as they are. */
  spoil: Spoil = (_call, answer) => answer;
  /** Called before a call is answered. */
  onCall: (call: FakeCall) => void | Promise<void> = () => undefined;
  private readonly streams = new Set<grpc.ServerWritableStream<Buffer, Buffer>>();
  private made = 0;
  private server!: grpc.Server;

  private constructor(
    readonly directory: string,
    private readonly name: string,
    private readonly version: string,
  ) {}

  static async start(name = 'fake', version = '1.0.0'): Promise<FakeCri> {
    const fake = new FakeCri(await mkdtemp(join(tmpdir(), 'dockbridge-fake-cri-')), name, version);
    await fake.listen();
    return fake;
  }

  get endpoint(): string {
    return `unix://${join(this.directory, 'cri.sock')}`;
  }

  get left(): readonly string[] {
    return [...this.pods.keys(), ...this.containers.keys()];
  }

  methods(): string[] {
    return this.calls.map(({ method }) => method);
  }

  async listen(): Promise<void> {
    this.server = new grpc.Server();
    for (const [service, methods] of Object.entries(DESCRIPTORS.services)) {
      const definition: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
      const handlers: grpc.UntypedServiceImplementation = {};
      for (const [method, [request, response, streams]] of Object.entries(methods)) {
        definition[method] = {
          ...{ path: `/runtime.v1.${service}/${method}`, requestStream: false, responseStream: streams },
          ...{
            requestSerialize: same,
            requestDeserialize: same,
            responseSerialize: same,
            responseDeserialize: same,
          },
        };
        handlers[method] = streams
          ? (call: grpc.ServerWritableStream<Buffer, Buffer>) => void this.stream(method, response, call)
          : (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) =>
              void this.unary(method, toJson(request, call.request)).then(
                (answer) => reply(null, fromJson(response, answer)),
                (error: unknown) => reply(statusOf(error)),
              );
      }
      this.server.addService(definition, handlers);
    }
    await new Promise<void>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      this.server.bindAsync(this.endpoint.replace('unix://', 'unix:'), credentials, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  /** Ends the runtime's process. Its pods and containers stay. */
  die(): void {
    this.server.forceShutdown();
  }

  async stop(): Promise<void> {
    this.die();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Ends a container as if its process had ended. */
  exit(id: string, exitCode = 0): void {
    const container = this.containers.get(id);
    if (container?.state !== 'CONTAINER_RUNNING') return;
    container.state = 'CONTAINER_EXITED';
    container.exitCode = exitCode;
    this.event(id, 'CONTAINER_STOPPED_EVENT');
  }

  private async unary(method: string, request: JsonObject): Promise<JsonObject> {
    const call = { method, request };
    this.calls.push(call);
    await this.onCall(call);
    const handle = (this as unknown as Record<string, ((request: JsonObject) => JsonObject) | undefined>)[
      method
    ];
    if (handle === undefined) throw new Refusal(grpc.status.UNIMPLEMENTED, `no ${method}`);
    return this.spoil(call, handle.call(this, request));
  }

  private async stream(
    method: string,
    response: string,
    call: grpc.ServerWritableStream<Buffer, Buffer>,
  ): Promise<void> {
    if (method !== 'GetContainerEvents') {
      call.emit('error', { code: grpc.status.UNIMPLEMENTED, details: `no ${method}` });
      return;
    }
    this.calls.push({ method, request: {} });
    call.sendMetadata(new grpc.Metadata());
    this.streams.add(call);
    call.on('cancelled', () => this.streams.delete(call));
    await Promise.resolve(response);
  }

  private event(id: string, container_event_type: string): void {
    const answer = this.spoil(
      { method: 'GetContainerEvents', request: {} },
      { container_id: id, container_event_type, created_at: String(Date.now()) },
    );
    if (Object.keys(answer).length === 0) return;
    for (const stream of this.streams) stream.write(fromJson('ContainerEventResponse', answer));
  }

  private id(): string {
    // The number has a fixed length, because 1 and 10 would otherwise become the same id.
    return `${this.name}${String(++this.made).padStart(4, '0')}`.padEnd(64, '0');
  }

  /* The methods of CRI follow under their own names. */

  protected Version(): JsonObject {
    return {
      version: '0.1.0',
      runtime_name: this.name,
      runtime_version: this.version,
      runtime_api_version: 'v1',
    };
  }

  protected ImageStatus(request: JsonObject): JsonObject {
    const name = asText((request.image as JsonObject).image);
    const [tag, id] = [...this.images].find((entry) => entry.includes(name)) ?? [];
    return id === undefined || tag === undefined ? {} : { image: { id, repo_tags: [tag], size: '7' } };
  }

  protected ListImages(): JsonObject {
    return { images: [...this.images].map(([tag, id]) => ({ id, repo_tags: [tag], size: '7' })) };
  }

  protected PullImage(request: JsonObject): JsonObject {
    const name = asText((request.image as JsonObject).image);
    this.images.set(name, `sha256:${String(this.images.size).padStart(64, '0')}`);
    return { image_ref: this.images.get(name) ?? '' };
  }

  protected RemoveImage(request: JsonObject): JsonObject {
    this.images.delete(asText((request.image as JsonObject).image));
    return {};
  }

  protected RunPodSandbox({ config }: JsonObject): JsonObject {
    const id = this.id();
    this.pods.set(id, { id, config: config as JsonObject, state: 'SANDBOX_READY' });
    this.event(id, 'CONTAINER_CREATED_EVENT');
    return { pod_sandbox_id: id };
  }

  protected CreateContainer({ pod_sandbox_id, config }: JsonObject): JsonObject {
    const pod = this.pod(pod_sandbox_id).id;
    const { image } = config as { image?: JsonObject };
    if (
      ![...this.images]
        .flat()
        .map(bare)
        .includes(bare(asText(image?.image)))
    )
      throw new Refusal(grpc.status.NOT_FOUND, 'no such image');
    const id = this.id();
    this.containers.set(id, {
      id,
      pod,
      config: config as JsonObject,
      state: 'CONTAINER_CREATED',
      exitCode: 0,
    });
    this.event(id, 'CONTAINER_CREATED_EVENT');
    return { container_id: id };
  }

  protected StartContainer({ container_id }: JsonObject): JsonObject {
    const container = this.container(container_id);
    container.state = 'CONTAINER_RUNNING';
    this.event(container.id, 'CONTAINER_STARTED_EVENT');
    return {};
  }

  protected StopContainer({ container_id }: JsonObject): JsonObject {
    this.exit(this.container(container_id).id, 143);
    return {};
  }

  protected RemoveContainer({ container_id }: JsonObject): JsonObject {
    if (this.containers.delete(asText(container_id)))
      this.event(asText(container_id), 'CONTAINER_DELETED_EVENT');
    return {};
  }

  protected StopPodSandbox({ pod_sandbox_id }: JsonObject): JsonObject {
    const pod = this.pods.get(asText(pod_sandbox_id));
    for (const { id } of this.of(pod?.id)) this.exit(id, 137);
    if (pod !== undefined) pod.state = 'SANDBOX_NOTREADY';
    return {};
  }

  protected RemovePodSandbox({ pod_sandbox_id }: JsonObject): JsonObject {
    for (const { id } of this.of(asText(pod_sandbox_id))) this.containers.delete(id);
    this.pods.delete(asText(pod_sandbox_id));
    return {};
  }

  protected ExecSync({ container_id, cmd }: JsonObject): JsonObject {
    this.container(container_id);
    return { stdout: Buffer.from(`${(cmd as string[]).join(' ')}\n`).toString('base64') };
  }

  protected PodSandboxStatus({ pod_sandbox_id }: JsonObject): JsonObject {
    const { id, config, state } = this.pod(pod_sandbox_id);
    return { status: { id, state, ...metadataOf(config), network: { ip: `10.0.0.${this.made}` } } };
  }

  protected ContainerStatus({ container_id }: JsonObject): JsonObject {
    const container = this.container(container_id);
    const { id, config, state, exitCode } = container;
    const logs = (this.pods.get(container.pod)?.config.log_directory ?? '') as string;
    const { mounts, log_path } = config;
    return {
      status: {
        ...{ id, state, ...metadataOf(config) },
        ...(mounts === undefined ? {} : { mounts }),
        ...(log_path === undefined ? {} : { log_path: `${logs}/${log_path as string}` }),
        created_at: '1000',
        ...(state === 'CONTAINER_CREATED' ? {} : { started_at: '2000' }),
        ...(state === 'CONTAINER_EXITED' ? { finished_at: '3000', exit_code: exitCode } : {}),
      },
    };
  }

  protected ListPodSandbox(): JsonObject {
    const items = [...this.pods.values()].map(({ id, config, state }) => ({
      id,
      state,
      ...metadataOf(config),
    }));
    return { items };
  }

  protected ListContainers({ filter }: JsonObject): JsonObject {
    const pod = (filter as JsonObject | undefined)?.pod_sandbox_id;
    const all = [...this.containers.values()].filter((one) => pod === undefined || one.pod === pod);
    return {
      containers: all.map((one) => ({
        ...{ id: one.id, pod_sandbox_id: one.pod, state: one.state, ...metadataOf(one.config) },
      })),
    };
  }

  protected ContainerStats({ container_id }: JsonObject): JsonObject {
    const { id, config } = this.container(container_id);
    return { stats: { attributes: { id, ...metadataOf(config) } } };
  }

  protected ListContainerStats(): JsonObject {
    const running = [...this.containers.values()].filter(({ state }) => state === 'CONTAINER_RUNNING');
    return { stats: running.map(({ id, config }) => ({ attributes: { id, ...metadataOf(config) } })) };
  }

  protected ListPodSandboxStats(): JsonObject {
    const pods = [...this.pods.values()];
    return { stats: pods.map(({ id, config }) => ({ attributes: { id, ...metadataOf(config) } })) };
  }

  private pod(id: Json | undefined): Pod {
    const pod = this.pods.get(asText(id));
    if (pod === undefined) throw new Refusal(grpc.status.NOT_FOUND, `no pod ${asText(id)}`);
    return pod;
  }

  private container(id: Json | undefined): Container {
    const container = this.containers.get(asText(id));
    if (container === undefined) throw new Refusal(grpc.status.NOT_FOUND, `no container ${asText(id)}`);
    return container;
  }

  private of(pod: string | undefined): Container[] {
    return [...this.containers.values()].filter((one) => one.pod === pod);
  }
}

function metadataOf({ metadata, labels, annotations }: JsonObject): JsonObject {
  return {
    ...(metadata === undefined ? {} : { metadata }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function statusOf(error: unknown): { code: grpc.status; details: string } {
  if (error instanceof Refusal) return { code: error.code, details: error.message };
  return { code: grpc.status.INTERNAL, details: String(error) };
}
