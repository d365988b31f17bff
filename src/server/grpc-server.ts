import {
  Server,
  type handleUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Logger } from '../lib/logger';
import {
  ALPHA_IMAGE_SERVICE,
  ALPHA_RUNTIME_SERVICE,
  IMAGE_SERVICE,
  RUNTIME_SERVICE,
  type MalformedMessage,
} from '../proto/service';
import { wrapUnary, type CallReport } from './call';
import { IMAGE_ROUTES, RUNTIME_ROUTES, type Route } from './handlers';
import { SocketListener } from './listener/socket-listener';
import type { CallContext, Services } from './services';

/** kubelet's cap for a CRI message, both ways. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Calls in progress at shutdown may take this long to end. */
const SHUTDOWN_GRACE_MS = 10_000;

export interface GrpcServerOptions {
  readonly endpoint: string;
  readonly logger: Logger;
  readonly observe: (report: CallReport) => void;
}

/** The CRI endpoint: both services as `runtime.v1` and, for kubelets up to 1.25, as `runtime.v1alpha2`. */
export class GrpcServer {
  private readonly server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.enable_channelz': 0,
  });
  private readonly listener: SocketListener;

  constructor(
    services: Services,
    private readonly options: GrpcServerOptions,
  ) {
    const { endpoint, logger } = options;
    this.listener = new SocketListener({ endpoint, logger });
    const runtime = this.implement(services, RUNTIME_ROUTES);
    const image = this.implement(services, IMAGE_ROUTES);
    const add = (definition: ServiceDefinition, all: UntypedServiceImplementation): void => {
      // Methods without an implementation (the streams) answer UNIMPLEMENTED by grpc-js itself.
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

  /** @returns the address that serves, such as `unix:///run/dockbridge.sock`. */
  async listen(): Promise<string> {
    return (await this.listener.listen(this.server)).address;
  }

  /** No new connections; calls in progress end or are cut after 10 s. */
  async close(): Promise<void> {
    await this.listener.close();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.server.forceShutdown(), SHUTDOWN_GRACE_MS);
      this.server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private implement(services: Services, routes: object): UntypedServiceImplementation {
    const entries = Object.entries(routes) as [string, Route<unknown, unknown>][];
    return Object.fromEntries(entries.map(([name, route]) => [name, this.serve(services, name, route)]));
  }

  private serve(
    services: Services,
    name: string,
    { kind, handler }: Route<unknown, unknown>,
  ): handleUnaryCall<MalformedMessage, unknown> {
    const { logger, observe } = this.options;
    return wrapUnary(name, async (request, context) => handler(services, request, context), {
      logger,
      observe,
      before: {
        always: undefined,
        read: ({ signal }: CallContext) => services.link.whenSyncedOnce(signal),
        write: ({ signal }: CallContext) => services.link.whenReady(signal),
      }[kind],
    });
  }
}
