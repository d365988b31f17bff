import type { Duplex } from 'node:stream';
import { Mux, PLUGIN_CONNECTION, RUNTIME_CONNECTION } from '../../../src/nri/mux';
import { TtrpcClient } from '../../../src/nri/ttrpc/client';
import { served, type ServedMethod, TtrpcServer } from '../../../src/nri/ttrpc/server';
import type { Decoded } from '../../../src/proto';
import {
  type nri,
  PLUGIN_METHODS,
  PLUGIN_SERVICE,
  type PluginAnswer,
  type PluginMethod,
  RUNTIME_METHODS,
  RUNTIME_SERVICE,
} from '../../../src/proto/nri';

type Handlers = Partial<Record<PluginMethod, (request: never) => unknown>>;

/** The other end of NRI: what a plugin does with the stub of the Go module. */
export class FakePlugin {
  readonly mux: Mux;
  readonly calls: string[] = [];
  private readonly client: TtrpcClient;

  constructor(socket: Duplex, handlers: Handlers = {}, events = 0) {
    this.mux = new Mux(socket);
    this.client = new TtrpcClient(this.mux, RUNTIME_CONNECTION);
    const all: Handlers = { Configure: () => ({ events }), Synchronize: () => ({}), ...handlers };
    const methods = new Map(
      Object.entries(all).map(([name, handle]): [string, ServedMethod] => [
        name,
        served(PLUGIN_METHODS[name as PluginMethod], async (request) => {
          this.calls.push(name);
          return await (handle as (request: unknown) => unknown)(request);
        }),
      ]),
    );
    new TtrpcServer(this.mux, PLUGIN_CONNECTION, PLUGIN_SERVICE, methods);
    this.mux.start();
  }

  async register(name: string, index: string): Promise<void> {
    const request = { plugin_name: name, plugin_idx: index, NRI_version: 'v0.12.0' };
    await this.client.call(RUNTIME_SERVICE, 'RegisterPlugin', RUNTIME_METHODS.RegisterPlugin, request, 5_000);
  }

  async update(update: nri.IContainerUpdate[]): Promise<Decoded<nri.IUpdateContainersResponse>> {
    const { UpdateContainers } = RUNTIME_METHODS;
    const answer = await this.client.call(
      RUNTIME_SERVICE,
      'UpdateContainers',
      UpdateContainers,
      { update },
      5_000,
    );
    return answer as Decoded<nri.IUpdateContainersResponse>;
  }
}

export type Answer<Method extends PluginMethod> = Partial<PluginAnswer<Method>>;
