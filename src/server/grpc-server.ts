import {
  Server,
  type ServiceDefinition,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { sharedAbortController } from '../lib/async/deadline';
import { unavailable, type RuntimeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Tracer } from '../lib/tracer';
import { WorkGate, type WorkInProgress } from '../lib/async/stopping';
import { ALPHA_IMAGE_SERVICE, ALPHA_RUNTIME_SERVICE, IMAGE_SERVICE, RUNTIME_SERVICE } from '../proto/service';
import { wrapStream, wrapUnary, type CallReport, type WrapOptions } from './call';
import {
  IMAGE_ROUTES,
  IMAGE_STREAMS,
  RUNTIME_ROUTES,
  RUNTIME_STREAMS,
  type Route,
  type StreamRoute,
} from './handlers';
import { SocketListener } from './listener/socket-listener';
import type { CallContext, Services } from './services';

/** Limit of a CRI message in both directions, which equals kubelet's. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** How long calls in progress may take to end at shutdown. The whole stop must take at most 10 s. */
const SHUTDOWN_GRACE_MS = 3_000;

/** A hand-over does not wait for calls of these methods, because they may take a long time and leave nothing half done. */
const LASTING: ReadonlySet<string> = new Set([
  'PullImage',
  'ExecSync',
  'StopContainer',
  'CheckpointContainer',
]);

export interface GrpcServerOptions {
  readonly endpoint: string;
  readonly logger: Logger;
  readonly observe: (report: CallReport) => void;
  /** Closed by a hand-over. From then on, calls that change the node are refused. */
  readonly gate: WorkGate;
  /**
   * Called before each call that changes something.
   * @returns the error that refuses the call, or undefined.
   */
  readonly refusal?: () => RuntimeError | undefined;
  readonly tracer?: Tracer;
}

/** The CRI endpoint. It serves both services as `runtime.v1` and, for kubelets up to 1.25, as `runtime.v1alpha2`. */
export class GrpcServer {
  private readonly server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.enable_channelz': 0,
  });
  private readonly listener: SocketListener;
  private readonly closing = sharedAbortController();
  private readonly calls = new WorkGate();

  constructor(
    services: Services,
    private readonly options: GrpcServerOptions,
  ) {
    const { endpoint, logger } = options;
    this.listener = new SocketListener({ endpoint, logger });
    const runtime = this.implement(services, RUNTIME_ROUTES, RUNTIME_STREAMS);
    const image = this.implement(services, IMAGE_ROUTES, IMAGE_STREAMS);
    const add = (definition: ServiceDefinition, all: UntypedServiceImplementation): void => {
      // v1alpha2 has fewer methods. grpc-js answers UNIMPLEMENTED to all others.
      this.server.addService(
        definition,
        Object.fromEntries(Object.entries(all).filter(([name]) => name in definition)),
      );
    };
    add(RUNTIME_SERVICE, runtime);
    add(IMAGE_SERVICE, image);
    add(ALPHA_RUNTIME_SERVICE, runtime);
    add(ALPHA_IMAGE_SERVICE, image);
  }

  /**
   * Calls that have not been answered yet, the oldest first. A GetContainerEvents call lasts as long as its client stays
   * connected.
   */
  get callsInProgress(): readonly WorkInProgress[] {
    return this.calls.inProgress;
  }

  /** @returns the address on which clients can connect, such as `unix:///run/dockbridge.sock`. */
  async listen(): Promise<string> {
    return (await this.listener.listen(this.server)).address;
  }

  /** Stops accepting connections and ends all streams. Calls in progress have 3 s to end and are then cut off. */
  async close(): Promise<void> {
    await this.listener.close();
    this.closing.abort(unavailable('dockbridge is shutting down'));
    const timer = setTimeout(() => this.server.forceShutdown(), SHUTDOWN_GRACE_MS);
    const sessions = new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    // grpc-js does not wait for a session whose client will make no more calls (GOAWAY), although it still answers that
    // session's calls. The gate waits for them.
    await Promise.all([sessions, this.calls.whenIdle(SHUTDOWN_GRACE_MS)]);
    clearTimeout(timer);
  }

  private implement(services: Services, routes: object, streams: object): UntypedServiceImplementation {
    const unary = Object.entries(routes) as [string, Route<unknown, unknown>][];
    const streaming = Object.entries(streams) as [string, StreamRoute<unknown, unknown>][];
    return Object.fromEntries([
      ...unary.map(([name, route]) => [name, this.serve(services, name, route)] as const),
      ...streaming.map(([name, route]) => [name, this.serveStream(services, name, route)] as const),
    ]);
  }

  private serve(
    services: Services,
    name: string,
    { kind, acts, handler }: Route<unknown, unknown>,
  ): UntypedHandleCall {
    const options = this.wrapOptions(services, kind);
    const run = (request: unknown, context: CallContext): Promise<unknown> =>
      handler(services, request, context);
    if (!acts) return wrapUnary(name, run, options);
    const { gate } = this.options;
    const work: typeof run = LASTING.has(name)
      ? run
      : (request, context) => gate.run(name, () => run(request, context));
    return wrapUnary(name, work, {
      ...options,
      before: (context) => this.admit(context, options.before),
    });
  }

  /** Checks for a refusal first, so that a refused call does not wait for the Engine. */
  private async admit(context: CallContext, before: WrapOptions['before']): Promise<void> {
    const refused = this.options.refusal?.();
    if (refused !== undefined) throw refused;
    this.options.gate.check();
    await before?.(context);
  }

  private serveStream(
    services: Services,
    name: string,
    { kind, handler }: StreamRoute<unknown, unknown>,
  ): UntypedHandleCall {
    return wrapStream(name, (request, context) => handler(services, request, context), {
      ...this.wrapOptions(services, kind),
      // GetContainerEvents has no span, because the span would last as long as the client's connection.
      ...(name === 'GetContainerEvents' ? { tracer: undefined } : {}),
      closing: this.closing.signal,
    });
  }

  private wrapOptions({ link }: Services, kind: Route<unknown, unknown>['kind']): WrapOptions {
    const { logger, observe, tracer } = this.options;
    return {
      logger,
      observe,
      tracer,
      calls: this.calls,
      before: {
        always: undefined,
        answer: ({ signal }: CallContext) => link.whenAnswered(signal),
        pods: ({ signal }: CallContext) => link.whenListed('sandbox', signal),
        containers: ({ signal }: CallContext) => link.whenListed('container', signal),
        // The handler itself waits for the one object that it reads.
        one: undefined,
        read: ({ signal }: CallContext) => link.whenSyncedOnce(signal),
        images: ({ signal }: CallContext) => link.whenImagesSyncedOnce(signal),
        write: ({ signal }: CallContext) => link.whenConnected(signal),
        make: ({ signal }: CallContext) => link.whenReady(signal),
      }[kind],
    };
  }
}
