import { unlink } from 'node:fs/promises';
import type { Logger } from '../lib/logger';
import type { StartWorker } from '../lib/worker-rpc';
import { CriClient } from '../server/client/cri-client';
import { DOCKBRIDGE_VERSION } from '../release';
import { CriProxy } from './proxy/cri-proxy';
import { LoopDelay, Overhead, SpentTimes, type OverheadReport, type SpentReport } from './proxy/overhead';
import { relay, type CallTap, type IncomingCall } from './proxy/relay';
import { TAPE_VERSION, type TapeHeader } from './tape/format';
import { Recorder } from './tape/recorder';
import { RecordingTap } from './tape/recording-tap';
import { REDACTED } from './tape/redact';
import { WireLog, type WireTap } from './wire/wire-log';
import { WireProxy } from './wire/wire-proxy';

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

/** The proxy between clients and the runtime. */
interface Between {
  listen(): Promise<void>;
  /** Drops the clients. When it resolves, the recorder has been told everything. */
  close(): Promise<void>;
  /** The number of calls, and how long they were inside this process. Undefined if only the tape's thread knows. */
  told(): { readonly calls: number; readonly spent: SpentReport } | undefined;
}

/** Makes the function that handles each call. */
export type Interfere = (proxy: CriProxy, recorder: Recorder | undefined) => (call: IncomingCall) => void;

/** A recording that runs. */
export class Recording {
  readonly #between: Between;
  readonly #recorder: Recorder | undefined;
  readonly #loop = new LoopDelay();

  private constructor(between: Between, recorder: Recorder | undefined) {
    this.#between = between;
    this.#recorder = recorder;
  }

  /**
   * Without `interfere` bytes pass as they are, and the tape's thread finds the calls in a copy of them.
   * @param interfere makes the object that handles calls instead of `relay`; it is called when proxy and tape exist.
   * @throws RuntimeError when the socket or the tape cannot be made; then neither exists.
   */
  static async start(options: RecordOptions, interfere?: Interfere): Promise<Recording> {
    const { upstream, output, full, warn, startWorker } = options;
    const recorder =
      output === undefined
        ? undefined
        : await Recorder.open(require.resolve('./tape/worker-entry'), {
            ...{ file: output, header: await headerOf(upstream, full), full, warn, startWorker },
          });
    const between =
      interfere === undefined ? passing(options, recorder) : interfering(options, recorder, interfere);
    const recording = new Recording(between, recorder);
    try {
      await between.listen();
    } catch (error) {
      await recorder?.finish();
      // It was made by this call, and holds no call.
      if (output !== undefined) await unlink(output).catch(() => undefined);
      throw error;
    }
    return recording;
  }

  /** Drops the clients and ends the tape. */
  async stop(): Promise<Recorded> {
    await this.#between.close();
    const finished = (await this.#recorder?.finish()) ?? { lost: 0, bytes: 0, isWhole: true };
    const { calls, spent } = this.#between.told() ?? {
      calls: this.#recorder?.calls ?? 0,
      spent: this.#recorder?.spent ?? new SpentTimes().report(),
    };
    return { calls, ...finished, overhead: { ...spent, loopDelayP99: this.#loop.end() } };
  }
}

/** A proxy that passes bytes and does nothing else with them. */
function passing({ listen, upstream, logger }: RecordOptions, recorder: Recorder | undefined): Between {
  const log = recorder === undefined ? undefined : new WireLog(recorder);
  const proxy = new WireProxy({
    ...{ listen, upstream, logger },
    follow: () => log?.follow() ?? UNRECORDED,
    now: () => recorder?.now() ?? 0,
  });
  return {
    listen: () => proxy.listen(),
    close: async () => {
      await proxy.close();
      log?.flush();
    },
    told: () => undefined,
  };
}

/** A proxy that receives each call. What happens with it is decided by `interfere`. */
function interfering(
  { listen, upstream, logger }: RecordOptions,
  recorder: Recorder | undefined,
  interfere: Interfere,
): Between {
  const overhead = new Overhead();
  let calls = 0;
  let handle: (call: IncomingCall) => void = relay;
  const proxy = new CriProxy({
    ...{ listen, upstream, logger },
    tap: (path, headers) => {
      calls++;
      return overhead.timed(recorder === undefined ? NO_TAP : new RecordingTap(recorder, path, headers));
    },
    handle: (call) => handle(call),
  });
  handle = interfere(proxy, recorder);
  return {
    listen: () => proxy.listen(),
    close: () => proxy.close(),
    told: () => ({ calls, spent: overhead.report() }),
  };
}

const nothing = (): void => undefined;
const NO_TAP: CallTap = {
  n: undefined,
  ...{ requestBytes: nothing, requestPassed: nothing, responseHeaders: nothing },
  ...{ responseBytes: nothing, answered: nothing, closed: nothing },
};

const UNRECORDED: WireTap = { passing: () => undefined, closed: nothing };

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
