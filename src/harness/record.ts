import type { Logger } from '../lib/logger';
import type { StartWorker } from '../lib/worker-rpc';
import { CriClient } from '../server/client/cri-client';
import { DOCKBRIDGE_VERSION } from '../release';
import { CriProxy } from './proxy/cri-proxy';
import { Overhead, type OverheadReport } from './proxy/overhead';
import type { RawHeaders } from './proxy/raw-headers';
import { relay, type CallTap, type IncomingCall } from './proxy/relay';
import { TAPE_VERSION, type TapeHeader } from './tape/format';
import { Recorder } from './tape/recorder';
import { RecordingTap } from './tape/recording-tap';
import { REDACTED } from './tape/redact';

/** How long the runtime may take to tell its name for the tape's head. */
const VERSION_MS = 2_000;

export interface RecordOptions {
  readonly listen: string;
  readonly upstream: string;
  /** The tape; undefined records nothing. */
  readonly output: string | undefined;
  /** Whether the tape keeps secrets. */
  readonly full: boolean;
  readonly logger: Logger;
  readonly warn: (text: string) => void;
  readonly startWorker?: StartWorker | undefined;
}

export interface Recorded {
  readonly calls: number;
  readonly lost: number;
  readonly bytes: number;
  /** Whether the tape is complete, including its last line; true without a tape. */
  readonly isWhole: boolean;
  readonly overhead: OverheadReport;
}

/** A recording that runs. */
export class Recording {
  #calls = 0;

  private constructor(
    readonly proxy: CriProxy,
    readonly recorder: Recorder | undefined,
    private readonly overhead: Overhead,
  ) {}

  /**
   * @param interfere makes the object that handles calls instead of `relay`; it is called when proxy and tape exist.
   * @throws RuntimeError when the socket or the tape cannot be made; then neither exists.
   */
  static async start(
    options: RecordOptions,
    interfere?: (proxy: CriProxy, recorder: Recorder | undefined) => (call: IncomingCall) => void,
  ): Promise<Recording> {
    const { listen, upstream, output, full, logger, warn, startWorker } = options;
    const overhead = new Overhead();
    const recorder =
      output === undefined
        ? undefined
        : await Recorder.open(require.resolve('./tape/worker-entry'), {
            ...{ file: output, header: await headerOf(upstream, full), full, warn, startWorker },
          });
    let handle = (call: IncomingCall): void => relay(call);
    const proxy: CriProxy = new CriProxy({
      ...{ listen, upstream, logger },
      tap: (path, headers) => recording.#tap(path, headers),
      handle: (call) => handle(call),
    });
    const recording: Recording = new Recording(proxy, recorder, overhead);
    if (interfere !== undefined) handle = interfere(proxy, recorder);
    try {
      await proxy.listen();
    } catch (error) {
      await recorder?.finish();
      throw error;
    }
    return recording;
  }

  /** Drops the clients and ends the tape. */
  async stop(): Promise<Recorded> {
    await this.proxy.close();
    const finished = (await this.recorder?.finish()) ?? { lost: 0, bytes: 0, isWhole: true };
    return { calls: this.#calls, ...finished, overhead: this.overhead.report() };
  }

  #tap(path: string, headers: RawHeaders): CallTap {
    this.#calls++;
    const tap = this.recorder === undefined ? NO_TAP : new RecordingTap(this.recorder, path, headers);
    return this.overhead.timed(tap);
  }
}

const nothing = (): void => undefined;
const NO_TAP: CallTap = {
  n: undefined,
  ...{ requestBytes: nothing, requestPassed: nothing, responseHeaders: nothing },
  ...{ responseBytes: nothing, answered: nothing, closed: nothing },
};

/** A runtime that is not there yet, or speaks v1alpha2 alone, is recorded all the same. */
async function headerOf(upstream: string, full: boolean): Promise<TapeHeader> {
  const client = new CriClient(upstream);
  const version = await client.call('Version', {}, VERSION_MS).catch(() => undefined);
  client.close();
  return {
    tape: TAPE_VERSION,
    recorded: new Date().toISOString(),
    by: `dockbridge ${DOCKBRIDGE_VERSION}`,
    upstream: {
      endpoint: upstream,
      ...(version === undefined
        ? {}
        : { runtime_name: version.runtime_name, runtime_version: version.runtime_version }),
    },
    redacted: full ? [] : REDACTED,
  };
}
