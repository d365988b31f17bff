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

/** How long the recorder waits for the runtime's answer to Version, which goes into the tape's head, ms. */
const VERSION_MS = 2_000;

export interface RecordOptions {
  readonly listen: string;
  readonly upstream: string;
  /** The file of the tape. If undefined, nothing is recorded. */
  readonly output: string | undefined;
  /** Whether the tape contains secrets. */
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
  /** Disconnects the clients. When the promise resolves, the recorder has received all entries. */
  close(): Promise<void>;
  /** Returns the number of calls and the time that they spent inside this process. Undefined if only the tape's thread knows this. */
  told(): { readonly calls: number; readonly spent: SpentReport } | undefined;
}

/** Creates the function that handles each call. */
export type Interfere = (proxy: CriProxy, recorder: Recorder | undefined) => (call: IncomingCall) => void;

/** A recording that is running. */
export class Recording {
  readonly #between: Between;
  readonly #recorder: Recorder | undefined;
  readonly #loop = new LoopDelay();

  private constructor(between: Between, recorder: Recorder | undefined) {
    this.#between = between;
    this.#recorder = recorder;
  }

  /**
   * Starts a recording. Without `interfere`, bytes pass unchanged, and the tape's thread finds the calls in a copy of them.
   * @param interfere creates the function that handles calls in place of `relay`. It is called when the proxy and the tape exist.
   * @throws RuntimeError if the socket or the tape cannot be created. In this case, neither is left behind.
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
      // The tape is removed, because it is new and no call is on it.
      if (output !== undefined) await unlink(output).catch(() => undefined);
      throw error;
    }
    return recording;
  }

  /** Disconnects the clients and completes the tape. */
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

/** Returns a proxy that relays bytes without decoding them, and gives the recorder a copy. */
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

/** Returns a proxy that receives each call as a whole and lets `interfere` decide what happens to it. */
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

/** Returns the head of the tape. It lacks the runtime's name if the runtime is not running yet or supports only v1alpha2. */
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
