import { status, type ServiceError } from '@grpc/grpc-js';
import type { cri, Decoded } from '../../../src/proto';
import { ContainerEventType } from '../../../src/proto/enums';
import type { CriClient } from '../../../src/server/client/cri-client';

export type CriEvent = Decoded<cri.IContainerEventResponse>;

const NAMES = Object.entries(ContainerEventType).map(
  ([name, type]) => [type, name.replace(/^CONTAINER_(.*)_EVENT$/, '$1').toLowerCase()] as const,
);
const PATIENCE_MS = 60_000;

/** Returns `created`, `started`, `stopped` or `deleted`. */
export function typeName({ container_event_type }: CriEvent): string {
  return NAMES.find(([type]) => type === container_event_type)?.[1] ?? String(container_event_type);
}

/** A consumer of GetContainerEvents that keeps all events. */
export class EventWatch {
  readonly events: CriEvent[] = [];
  /** The name of the status with which the stream ended. */
  readonly ended: Promise<string>;
  private onEvent: () => void = () => undefined;

  private constructor(
    messages: AsyncIterable<CriEvent>,
    private readonly cancelCall: () => void,
  ) {
    this.ended = this.collect(messages);
  }

  /** Resolves when the stream reports everything from now on. */
  static async open(client: CriClient): Promise<EventWatch> {
    const { connected, messages, cancel } = client.stream('GetContainerEvents', {});
    const watch = new EventWatch(messages, cancel);
    await connected;
    return watch;
  }

  /** Returns the types of one container's or sandbox's events so far. */
  of(id: string): string[] {
    return this.events.filter(({ container_id }) => container_id === id).map(typeName);
  }

  /** Resolves once `condition` holds for the events. Rejects after a minute with the events of `id`. */
  async until(condition: () => boolean, id = ''): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const seen = id === '' ? String(this.events.length) : this.of(id).join();
        reject(new Error(`the expected events did not come within a minute; so far: ${seen}`));
      }, PATIENCE_MS);
    });
    try {
      while (!condition())
        await Promise.race([new Promise<void>((resolve) => (this.onEvent = resolve)), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async untilSaid(id: string, type: string): Promise<void> {
    await this.until(() => this.of(id).includes(type), id);
  }

  async close(): Promise<void> {
    this.cancelCall();
    await this.ended;
  }

  private async collect(messages: AsyncIterable<CriEvent>): Promise<string> {
    try {
      for await (const event of messages) {
        this.events.push(event);
        this.onEvent();
      }
      return 'OK';
    } catch (error) {
      return status[(error as ServiceError).code];
    }
  }
}
